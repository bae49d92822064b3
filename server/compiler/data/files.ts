import { closeSync, openSync, readSync, statSync } from 'node:fs'
import { EspalierError } from '@espalier/shared'

/** Part of a file, or bytes in memory. */
export type Place = { readonly path: string; readonly offset: number } | Uint8Array

const notThere = (path: string, cause: unknown) => {
  const { code } = cause as NodeJS.ErrnoException
  return new EspalierError('FILE_NOT_FOUND', `cannot read the data file '${path}': ${code ?? cause}`, {
    cause,
  })
}

/** Size of a file in bytes. @throws FILE_NOT_FOUND */
export const sizeOf = (path: string): number => statOf(path).size

/** Changes when a file does. @throws FILE_NOT_FOUND */
export function stampOf(path: string): string {
  const { size, mtimeMs } = statOf(path)
  return `${path} ${size} ${mtimeMs}`
}

function statOf(path: string) {
  try {
    const stat = statSync(path)
    if (stat.isFile()) return stat
  } catch (cause) {
    throw notThere(path, cause)
  }
  throw notThere(path, 'it is no file')
}

/**
 * Calls `use` with a function that reads `length` bytes from `offset` on into an array.
 * @throws FILE_NOT_FOUND, and DATA_INVALID where the file ends before
 */
export function reading<T>(path: string, use: (read: (into: Uint8Array, offset: number) => void) => T): T {
  let file: number
  try {
    file = openSync(path, 'r')
  } catch (cause) {
    throw notThere(path, cause)
  }
  try {
    return use((into, offset) => {
      for (let done = 0; done < into.length; ) {
        const got = readOnce(path, file, into, done, offset + done)
        if (got === 0)
          throw new EspalierError(
            'DATA_INVALID',
            `'${path}' ends before byte ${offset + into.length}; it was cut short`,
          )
        done += got
      }
    })
  } finally {
    closeSync(file)
  }
}

function readOnce(path: string, file: number, into: Uint8Array, at: number, offset: number): number {
  try {
    return readSync(file, into, at, into.length - at, offset)
  } catch (cause) {
    throw notThere(path, cause)
  }
}

/** Bytes of a file, or of what is in memory. */
export function bytesAt(place: Place, offset: number, length: number): Uint8Array {
  if (place instanceof Uint8Array) return place.subarray(offset, offset + length)
  const bytes = new Uint8Array(length)
  reading(place.path, (read) => read(bytes, place.offset + offset))
  return bytes
}
