import { checked, type Elements, elementSize, type Held, heldSize } from './elements.js'
import { bytesAt, type Place, stampOf } from './files.js'
import type { OnDisk } from './on-disk.js'

/** An array as a file holds it, of which the header has been read. */
export interface StoredArray extends Elements {
  /** The file that a user named. */
  readonly path: string
  /** Samples along the first. */
  readonly dims: readonly number[]
  /** Where its elements are; what is compressed is inflated, up to `memory` bytes into memory. */
  open(memory: number): Promise<Place>
}

/** Samples `skip` to `to` (exclusive) of an array. */
export interface Range {
  readonly skip: number
  readonly to: number
}

/** Bytes that samples of an array take in memory. */
export const bytesOf = (array: StoredArray, { skip, to }: Range): number =>
  (to - skip) * sampleOf(array) * heldSize(array)

const sampleOf = ({ dims }: StoredArray) => dims.slice(1).reduce((n, d) => n * d, 1)

/** Samples of an array in memory, checked. @throws DATA_INVALID, and what opening and reading throw */
export async function held(array: StoredArray, { skip, to }: Range, memory: number): Promise<Held> {
  const size = sampleOf(array)
  const stride = size * elementSize(array.type)
  const bytes = bytesAt(await array.open(memory), skip * stride, (to - skip) * stride)
  return checked(bytes, array, size, (place) => skip + place)
}

/** Samples of an array, left where they are and read when they are asked for. */
export async function onDisk(array: StoredArray, range: Range): Promise<Held | OnDisk> {
  const place = await array.open(0)
  if (place instanceof Uint8Array) return held(array, range, 0)
  const { name, type, little, whole, below } = array
  const stamp = stampOf(array.path)
  const rows = Uint32Array.from({ length: range.to - range.skip }, (_, i) => range.skip + i)
  return { kind: 'array', ...place, stamp, name, type, little, whole, below, size: sampleOf(array), rows }
}
