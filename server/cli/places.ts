import { accessSync, constants, type Stats, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { EspalierError } from '@espalier/shared'

/**
 * Looks at where a command will write, by what goes there, before its work begins: what is wrong would else show hours later.
 * @throws OPTION_INVALID where two are one file, or one is the model itself; WRITE_FAILED where no file can be made
 */
export function requirePlaces(
  model: string | undefined,
  places: Readonly<Record<string, string | undefined>>,
): void {
  const named = Object.entries(places).flatMap(([what, path]) => (path ? [{ what, path }] : []))
  for (const [i, { what, path }] of named.entries()) {
    const twin = named.slice(0, i).find((other) => resolve(other.path) === resolve(path))
    if (twin)
      throw new EspalierError(
        'OPTION_INVALID',
        `${twin.what} and ${what} cannot both be '${path}'; name two files`,
      )
    if (model !== undefined && isSame(model, path))
      throw new EspalierError('OPTION_INVALID', `'${path}' is the model that is read; name another file`)
    requireRoom(path)
  }
}

/** @throws WRITE_FAILED for a folder that is a file */
export function requireFolder(path: string): void {
  if (at(path)?.isDirectory() === false) throw failed(path, 'it is no folder')
}

/** Whether both lead to one file that is there. */
function isSame(a: string, b: string): boolean {
  const [one, other] = [at(a), at(b)]
  return one !== undefined && other !== undefined && one.dev === other.dev && one.ino === other.ino
}

function requireRoom(path: string): void {
  const there = at(path)
  if (there && !there.isFile())
    throw failed(path, there.isDirectory() ? 'it is a folder' : 'it is no regular file')
  const folder = dirname(resolve(path))
  const around = at(folder)
  if (!around) throw failed(path, `the folder '${folder}' is not there`)
  if (!around.isDirectory()) throw failed(path, `'${folder}' is no folder`)
  try {
    accessSync(folder, constants.W_OK)
  } catch (cause) {
    throw failed(path, `nothing can be written in the folder '${folder}'`, cause)
  }
}

/** What is at a path; undefined where nothing is, or nothing can be seen. */
function at(path: string): Stats | undefined {
  try {
    return statSync(path)
  } catch {
    return undefined
  }
}

const failed = (path: string, why: string, cause?: unknown) =>
  new EspalierError('WRITE_FAILED', `cannot write '${path}': ${why}`, { cause })
