import { readFile } from 'node:fs/promises'
import { EspalierError } from '@espalier/shared'

/** Samples as a file holds them, before a network is asked what it wants. */
export interface Stored {
  readonly count: number
  /** Dimensions of one sample. */
  readonly dims: readonly number[]
  readonly values: Float32Array | Uint8Array
  readonly labels?: Int32Array
  /** As many numbers a sample as it takes, where it is no class that is wanted. */
  readonly targets?: Float32Array
  readonly classNames?: readonly string[]
}

/** A data set may take this much memory. */
export const MAX_BYTES = 2 ** 31 - 1

export const tooLarge = (what: string) =>
  new EspalierError(
    'DATA_TOO_LARGE',
    `${what} takes more than ${MAX_BYTES / 1e9} GB of memory; take fewer samples with #first=N`,
  )

/** @throws FILE_NOT_FOUND, DATA_TOO_LARGE */
export async function readWhole(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path)
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    if (code === 'ERR_FS_FILE_TOO_LARGE') throw tooLarge(`'${path}'`)
    throw new EspalierError('FILE_NOT_FOUND', `cannot read the data file '${path}': ${code ?? cause}`, {
      cause,
    })
  }
}

type Read = (view: DataView, at: number, little: boolean) => number

/** How elements are read, by numpy's names for their types. */
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

/** The elements of an array of `type`: unsigned bytes as they are, without a copy; everything else as float32. */
export function decode(bytes: Uint8Array, type: string, little: boolean): Uint8Array | Float32Array {
  if (type === 'u1') return bytes
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const size = elementSize(type)
  const values = new Float32Array(bytes.length / size)
  for (let i = 0; i < values.length; i++) values[i] = readers[type](view, i * size, little)
  return values
}

/** @throws DATA_LABELS_INVALID unless each label is a whole number from 0 on. */
export function labelsFrom(values: ArrayLike<number>, source: string): Int32Array {
  return Int32Array.from(values, (v, i) => {
    if (Number.isInteger(v) && v >= 0 && v < 2 ** 31) return v
    throw new EspalierError(
      'DATA_LABELS_INVALID',
      `label ${i} of '${source}' is ${v}; labels are whole numbers from 0`,
    )
  })
}
