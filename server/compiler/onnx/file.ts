import { readFileSync, realpathSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname, resolve, sep } from 'node:path'
import { EspalierError } from '@espalier/shared'
import type { Graph } from '../graph/index.js'
import { readModel } from './read.js'
import { writeModel } from './write.js'
import { writeFiles } from './write-files.js'

const reason = (cause: unknown) => (cause as NodeJS.ErrnoException).code ?? String(cause)

/**
 * Reads an ONNX file; external data are looked for beside it and nowhere else.
 * @throws what `readModel` throws; FILE_NOT_FOUND if the file cannot be read.
 */
export async function readModelFile(path: string): Promise<Graph> {
  const bytes = await readFile(path).catch((cause) => {
    throw new EspalierError('FILE_NOT_FOUND', `cannot read the model '${path}': ${reason(cause)}`, { cause })
  })
  const folder = realpathSync(dirname(resolve(path)))
  return readModel(bytes, { external: (location) => beside(folder, location) })
}

function beside(folder: string, location: string): Uint8Array {
  const refuse = (why: string, cause?: unknown) =>
    new EspalierError('EXTERNAL_DATA_INVALID', `the model's data file '${location}' ${why}`, { cause })
  try {
    const file = realpathSync(resolve(folder, location))
    if (!file.startsWith(folder + sep)) throw refuse("lies outside the model's folder, where it may not")
    return readFileSync(file)
  } catch (cause) {
    throw cause instanceof EspalierError ? cause : refuse(`cannot be read: ${reason(cause)}`, cause)
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
