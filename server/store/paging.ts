import { EspalierError } from '@espalier/shared'

export interface Page<T> {
  items: T[]
  /** Give this as `cursor` to read on; null at the end. */
  next: string | null
}

export const defaultLimit = 50

/** A page from rows of which one more than `limit` was asked for; `key` is what the rows are ordered by. */
export function pageOf<T>(rows: readonly T[], limit: number, key: (row: T) => string): Page<T> {
  const items = rows.slice(0, limit)
  const last = items.at(-1)
  const next = rows.length > limit && last !== undefined ? Buffer.from(key(last)).toString('base64url') : null
  return { items, next }
}

/** The key after which a page starts; undefined at the beginning. @throws CURSOR_INVALID */
export function afterCursor(cursor: string | undefined): string | undefined {
  if (cursor === undefined) return undefined
  const key = Buffer.from(cursor, 'base64url').toString('utf8')
  if (key === '' || Buffer.from(key).toString('base64url') !== cursor) {
    throw new EspalierError(
      'CURSOR_INVALID',
      `'${cursor}' is not a cursor; use the 'next' of an earlier answer, or leave it out`,
    )
  }
  return key
}
