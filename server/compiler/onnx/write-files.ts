import { open, rename, rm, stat } from 'node:fs/promises'
import { EspalierError } from '@espalier/shared'

/**
 * Writes files, by path, together or not at all: each beside its place at first, then all are moved there.
 * @throws WRITE_FAILED, with what the system said; files that were there stay as they were.
 */
export async function writeFiles(files: ReadonlyMap<string, Uint8Array | string>): Promise<void> {
  const beside = (path: string) => `${path}.${process.pid}.tmp`
  const made: string[] = []
  const each = async (work: (path: string, content: Uint8Array | string) => Promise<void>) => {
    for (const [path, content] of files) {
      await work(path, content).catch((cause: NodeJS.ErrnoException) => {
        throw new EspalierError('WRITE_FAILED', `cannot write '${path}': ${cause.code}`, { cause })
      })
    }
  }
  try {
    await each(async (path, content) => {
      const file = await open(beside(path), 'w')
      made.push(beside(path))
      try {
        await file.writeFile(content)
        await file.sync()
      } finally {
        await file.close()
      }
      await requireNoFolder(path)
    })
    await each((path) => rename(beside(path), path))
  } catch (error) {
    for (const path of made) await rm(path, { force: true })
    throw error
  }
}

/** A file cannot be moved to where a folder is: found out before any is moved. */
async function requireNoFolder(path: string): Promise<void> {
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  if (found?.isDirectory()) throw Object.assign(new Error(`'${path}' is a folder`), { code: 'EISDIR' })
}
