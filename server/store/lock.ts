import { join } from 'node:path'
import { EspalierError } from '@espalier/shared'
import SQLite from 'better-sqlite3'

/**
 * Keeps a folder for this process until the function it gives is called or the process ends, however it ends: SQLite
 * holds the system's lock on a file of it.
 * @throws STATE_LOCKED if another has it
 */
export function lockFolder(folder: string): () => void {
  const lock = new SQLite(join(folder, 'lock.db'), { timeout: 0 })
  try {
    lock.exec('BEGIN EXCLUSIVE')
  } catch (cause) {
    lock.close()
    if (!(cause instanceof SQLite.SqliteError && cause.code.startsWith('SQLITE_BUSY'))) throw cause
    throw new EspalierError(
      'STATE_LOCKED',
      `another Espalier works in ${folder}; end it, or give this one a folder of its own with --data`,
      { cause },
    )
  }
  return () => void lock.close()
}
