import { mkdir, rmdir } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { EspalierError } from '@espalier/shared'

/**
 * Makes a folder and those above it that are missing.
 * @returns takes away again those that were made, as far as nothing has been put into them
 * @throws WRITE_FAILED
 */
export async function makeFolder(path: string): Promise<() => Promise<void>> {
  const outermost = await mkdir(path, { recursive: true }).catch((cause: NodeJS.ErrnoException) => {
    throw new EspalierError('WRITE_FAILED', `cannot make the folder '${path}': ${cause.code}`, { cause })
  })
  return async () => {
    if (outermost === undefined) return
    for (let folder = resolve(path); folder.length >= resolve(outermost).length; folder = dirname(folder))
      if (!(await removeEmpty(folder))) return
  }
}

/** @returns whether it was empty, and so went */
export const removeEmpty = (folder: string): Promise<boolean> =>
  rmdir(folder).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOTEMPTY' || error.code === 'EEXIST' || error.code === 'ENOENT') return false
      throw error
    },
  )
