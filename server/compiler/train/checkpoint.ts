import { createHash } from 'node:crypto'
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { deserialize, serialize } from 'node:v8'
import { EspalierError } from '@espalier/shared'
import type { TrainState } from './loop.js'

/** What a checkpoint must have been made from to be taken up again. */
export function runKey(...parts: readonly (string | Uint8Array)[]): string {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(`${part.length}:`).update(part)
  return hash.digest('hex')
}

/** Writes the state whole or not at all. @throws WRITE_FAILED */
export function saveCheckpoint(path: string, key: string, state: TrainState): void {
  const temporary = `${path}.${process.pid}.tmp`
  try {
    writeFileSync(temporary, serialize({ key, state }))
    renameSync(temporary, path)
  } catch (cause) {
    rmSync(temporary, { force: true })
    throw new EspalierError('WRITE_FAILED', `cannot write the checkpoint '${path}': ${cause}`, { cause })
  }
}

/** The state in the file, or undefined if there is none of this run. */
export function loadCheckpoint(path: string, key: string): TrainState | undefined {
  if (!existsSync(path)) return undefined
  try {
    const saved: { key: string; state: TrainState } = deserialize(readFileSync(path))
    return saved.key === key ? saved.state : undefined
  } catch {
    // Cut short by a crash or not ours: the run starts from the beginning and overwrites it.
    return undefined
  }
}

export const removeCheckpoint = (path: string): void => rmSync(path, { force: true })
