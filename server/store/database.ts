import { EspalierError } from '@espalier/shared'
import SQLite from 'better-sqlite3'
import type { Migration } from './migration.js'
import { migrations } from './migrations/index.js'

export type Database = SQLite.Database

/**
 * Opens (or makes) the service's database and brings its schema up to date, each step in a transaction.
 * `synchronous=FULL`: what was acknowledged as stored survives a power cut.
 * @throws DATABASE_NEWER if a newer Espalier has migrated it, DATABASE_INVALID if the file is none of ours or
 * damaged, DISK_FULL.
 */
export function openDatabase(path: string, steps: readonly Migration[] = migrations): Database {
  let db: Database | undefined
  try {
    db = new SQLite(path, { timeout: 5_000 })
    const version = Number(db.pragma('user_version', { simple: true }))
    const newest = steps.at(-1)?.number ?? 0
    if (version > newest) {
      throw new EspalierError(
        'DATABASE_NEWER',
        `${path} has schema ${version}, this Espalier knows ${newest}: it was used by a newer version. ` +
          'Install that version again, or start with another data folder (--data DIR)',
      )
    }
    db.pragma('journal_mode = WAL')
    db.pragma('synchronous = FULL')
    db.pragma('foreign_keys = ON')
    migrate(db, steps, version)
    return db
  } catch (thrown) {
    db?.close()
    throw storeError(thrown, path)
  }
}

function migrate(db: Database, steps: readonly Migration[], version: number): void {
  for (const step of steps.filter((s) => s.number > version)) {
    db.transaction(() => {
      db.exec(step.sql)
      db.pragma(`user_version = ${step.number}`)
    })()
  }
}

/** What SQLite or the file system threw, as an error an operator can act on; anything else is left as it is. */
export function storeError(thrown: unknown, path = 'the database'): unknown {
  const code = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : ''
  if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'SQLITE_FULL') {
    return new EspalierError(
      'DISK_FULL',
      'the disk that holds the data folder is full; free some space and try again. Nothing was changed',
      { cause: thrown },
    )
  }
  if (/^SQLITE_(NOTADB|CORRUPT)/.test(code)) {
    return new EspalierError(
      'DATABASE_INVALID',
      `${path} is not a database of Espalier, or is damaged; restore a backup or choose another data folder (--data DIR)`,
      { cause: thrown },
    )
  }
  if (/^SQLITE_(CANTOPEN|READONLY)/.test(code)) {
    return new EspalierError(
      'DATABASE_INVALID',
      `${path} cannot be opened for writing; check the data folder and its permissions`,
      { cause: thrown },
    )
  }
  return thrown
}
