import { EspalierError } from '@espalier/shared'

/** Values as they are held in memory: unsigned bytes as they are, whole numbers for inputs that take those, else floats. */
export type Held = Float32Array | Uint8Array | Int32Array

/** What an array's elements are, and what may be among them. */
export interface Elements {
  /** What people call the array: "x of 'FILE'". */
  readonly name: string
  /** By numpy's names. */
  readonly type: string
  readonly little: boolean
  /** Whether a network takes them as whole numbers. */
  readonly whole?: boolean
  /** Whole numbers lie from 0 to below this, where that is known: rows of an embedding. */
  readonly below?: number
}

type Read = (view: DataView, at: number, little: boolean) => number

const readers: Readonly<Record<string, Read>> = {
  u1: (v, at) => v.getUint8(at),
  b1: (v, at) => v.getUint8(at),
  i1: (v, at) => v.getInt8(at),
  u2: (v, at, little) => v.getUint16(at, little),
  i2: (v, at, little) => v.getInt16(at, little),
  u4: (v, at, little) => v.getUint32(at, little),
  i4: (v, at, little) => v.getInt32(at, little),
  u8: (v, at, little) => Number(v.getBigUint64(at, little)),
  i8: (v, at, little) => Number(v.getBigInt64(at, little)),
  f4: (v, at, little) => v.getFloat32(at, little),
  f8: (v, at, little) => v.getFloat64(at, little),
}

export const canRead = (type: string): boolean => type in readers
export const elementSize = (type: string): number => Number(type[1])

/** Bytes of one element once it is held. */
export const heldSize = ({ type, whole }: Pick<Elements, 'type' | 'whole'>): number =>
  type === 'u1' && !whole ? 1 : 4

/** The elements of an array: unsigned bytes without a copy where they may stay; nothing is checked. */
export function decode(bytes: Uint8Array, { type, little, whole }: Omit<Elements, 'name'>): Held {
  if (type === 'u1') return whole ? Int32Array.from(bytes) : bytes
  const count = bytes.length / elementSize(type)
  if (type === 'f4' && little && !whole) {
    const values = new Float32Array(count)
    new Uint8Array(values.buffer).set(bytes)
    return values
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const values = whole ? new Int32Array(count) : new Float32Array(count)
  const size = elementSize(type)
  const read = readers[type]
  for (let i = 0; i < count; i++) values[i] = read(view, i * size, little)
  return values
}

/**
 * The elements of samples of `size` elements each, checked.
 * @param sampleOf where the sample at a place lies in the data
 * @throws DATA_INVALID, naming array, sample and what was expected
 */
export function checked(
  bytes: Uint8Array,
  elements: Elements,
  size: number,
  sampleOf: (place: number) => number,
): Held {
  const values = decode(bytes, elements)
  if (values instanceof Uint8Array) return values
  const wrong = (i: number, value: number | bigint, wanted: string) =>
    new EspalierError(
      'DATA_INVALID',
      `sample ${sampleOf(Math.floor(i / size))} of ${elements.name} holds ${value}; ${wanted}`,
    )
  if (!elements.whole) {
    for (let i = 0; i < values.length; i++)
      if (!Number.isFinite(values[i])) throw wrong(i, values[i], 'finite numbers were expected')
    return values
  }
  const { type, little, below } = elements
  const read = readers[type]
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let i = 0; i < values.length; i++) {
    const value = elementSize(type) < 4 ? values[i] : read(view, i * elementSize(type), little)
    if (value !== values[i]) throw wrong(i, value, 'whole numbers of 32 bits were expected')
    if (below !== undefined && !(value >= 0 && value < below))
      throw wrong(i, value, `numbers from 0 to ${below - 1} were expected, the rows of the embedding`)
  }
  return values
}

/** @param skip how many labels there were before. @throws DATA_LABELS_INVALID unless each label is a whole number from 0 on. */
export function labelsFrom(values: ArrayLike<number>, name: string, skip: number): Int32Array {
  return Int32Array.from(values, (v, i) => {
    if (Number.isInteger(v) && v >= 0 && v < 2 ** 31) return v
    throw new EspalierError(
      'DATA_LABELS_INVALID',
      `label ${skip + i} of ${name} is ${v}; labels are whole numbers from 0`,
    )
  })
}
