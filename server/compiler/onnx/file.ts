import { closeSync, openSync, readSync, realpathSync, statSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname, relative, resolve, sep } from 'node:path'
import { EspalierError } from '@espalier/shared'
import type { Graph } from '../graph/index.js'
import { readModel } from './read.js'
import { writeModel } from './write.js'
import { writeFiles } from './write-files.js'

/** What one call of the system reads, at most. */
const MOST_AT_ONCE = 2 ** 30

const reason = (cause: unknown) => (cause as NodeJS.ErrnoException).code ?? String(cause)

/**
 * Reads an ONNX file; external data are looked for beside it and nowhere else, or nowhere at all if it is to be whole.
 * @throws what `readModel` throws; FILE_NOT_FOUND if the file cannot be read.
 */
export async function readModelFile(path: string, { whole = false } = {}): Promise<Graph> {
  const bytes = await readFile(path).catch((cause) => {
    throw new EspalierError('FILE_NOT_FOUND', `cannot read the model '${path}': ${reason(cause)}`, { cause })
  })
  if (whole) return readModel(bytes)
  const folder = realpathSync(dirname(resolve(path)))
  return readModel(bytes, { external: (...piece) => beside(folder, ...piece) })
}

/** Bytes of a regular file in the folder or below it. */
function beside(folder: string, location: string, offset: number, length?: number): Uint8Array<ArrayBuffer> {
  const refuse = (why: string, cause?: unknown) =>
    new EspalierError('EXTERNAL_DATA_INVALID', `the model's data file '${location}' ${why}`, { cause })
  let file: number | undefined
  try {
    const path = realpathSync(resolve(folder, location))
    if (`${relative(folder, path)}${sep}`.startsWith(`..${sep}`))
      throw refuse("lies outside the model's folder, where it may not")
    const stat = statSync(path) // not of an open file: opening a pipe waits for who writes to it
    if (!stat.isFile()) throw refuse('is not a file')
    const end = offset + (length ?? Math.max(0, stat.size - offset))
    if (end > stat.size) throw refuse(`has ${stat.size} bytes, of which ${offset} to ${end} are wanted`)
    const bytes = new Uint8Array(end - offset)
    file = openSync(path, 'r')
    for (let done = 0, n = 1; done < bytes.length && n > 0; done += n)
      n = readSync(file, bytes, done, Math.min(bytes.length - done, MOST_AT_ONCE), offset + done)
    return bytes
  } catch (cause) {
    throw cause instanceof EspalierError ? cause : refuse(`cannot be read: ${reason(cause)}`, cause)
  } finally {
    if (file !== undefined) closeSync(file)
  }
}

/**
 * Writes the graph as an ONNX file, whole or not at all, and gives its length in bytes.
 * @throws WRITE_FAILED, with what the system said; a file that was there stays as it was.
 */
export async function writeModelFile(graph: Graph, path: string): Promise<number> {
  const bytes = writeModel(graph)
  await writeFiles(new Map([[path, bytes]]))
  return bytes.length
}
