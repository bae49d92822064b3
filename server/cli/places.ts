import { accessSync, constants, statSync } from 'node:fs'
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

/** Whether both lead to one file that is there. */
function isSame(a: string, b: string): boolean {
  const [one, other] = [a, b].map((path) => statSync(path, { throwIfNoEntry: false }))
  return one !== undefined && other !== undefined && one.dev === other.dev && one.ino === other.ino
}

function requireRoom(path: string): void {
  const folder = dirname(resolve(path))
  try {
    const there = statSync(path, { throwIfNoEntry: false })
    if (there && !there.isFile())
      throw failed(path, there.isDirectory() ? 'it is a folder' : 'it is no regular file')
    accessSync(folder, constants.W_OK)
  } catch (thrown) {
    if (thrown instanceof EspalierError) throw thrown
    const code = thrown instanceof Error && 'code' in thrown ? thrown.code : ''
    const why = code === 'ENOENT' ? 'is not there' : `cannot be written (${code})`
    throw failed(path, `the folder '${folder}' ${why}`, thrown)
  }
}

const failed = (path: string, why: string, cause?: unknown) =>
  new EspalierError('WRITE_FAILED', `cannot write '${path}': ${why}`, { cause })
