import { EspalierError } from '@espalier/shared'
import type { EnrolmentToken, NewEnrolmentToken, PageQuery } from '../http/schemas/index.js'
import { afterCursor, type Database, defaultLimit, newId, type Page, pageOf } from '../store/index.js'
import { hashPassword, newPassword } from './credentials.js'

interface TokenRow {
  readonly id: string
  readonly groupId: string | null
  readonly device: string | null
  readonly uses: number
  readonly used: number
  readonly createdAt: number
  readonly expiresAt: number
  readonly revokedAt: number | null
}

const columns = 'id, groupId, device, uses, used, createdAt, expiresAt, revokedAt'

/** What a token lets a device do. */
export type Grant = Pick<TokenRow, 'id' | 'groupId' | 'device' | 'uses' | 'used'>

/** Tokens with which devices enrol: so many times, so long, into a group. Only their hashes are kept. */
export class EnrolmentTokens {
  constructor(
    private readonly db: Database,
    private readonly now: () => number,
  ) {}

  /** @returns the token's record, and its text, which is never shown again */
  create({ group, device, uses = 1, lifeMs = 24 * 3600 * 1000 }: NewEnrolmentToken): {
    token: EnrolmentToken
    secret: string
  } {
    const id = newId('tok')
    const secret = newPassword()
    const createdAt = this.now()
    this.db
      .prepare(
        `INSERT INTO enrolmentTokens (id, secretHash, groupId, device, uses, createdAt, expiresAt)
         VALUES (?, ?, ?, ?, ?, ?, ?)`,
      )
      .run(id, hashPassword(secret), group ?? null, device ?? null, uses, createdAt, createdAt + lifeMs)
    return { token: this.#get(id), secret }
  }

  list({ cursor, limit = defaultLimit }: PageQuery): Page<EnrolmentToken> {
    const rows = this.db
      .prepare<[string, number], TokenRow>(
        `SELECT ${columns} FROM enrolmentTokens WHERE id > ? ORDER BY id LIMIT ?`,
      )
      .all(afterCursor(cursor) ?? '', limit + 1)
    return pageOf(
      rows.map((row) => this.#view(row)),
      limit,
      ({ id }) => id,
    )
  }

  /** From now on it lets nobody in. @throws ENROLMENT_TOKEN_UNKNOWN */
  revoke(id: string): EnrolmentToken {
    this.db
      .prepare('UPDATE enrolmentTokens SET revokedAt = ? WHERE id = ? AND revokedAt IS NULL')
      .run(this.now(), id)
    return this.#get(id)
  }

  /** What this text lets a device do; undefined for one that is unknown, too old or revoked, whether or not it is used up. */
  find(secret: string): Grant | undefined {
    return this.db
      .prepare<[Buffer, number], TokenRow>(
        `SELECT ${columns} FROM enrolmentTokens WHERE secretHash = ? AND revokedAt IS NULL AND expiresAt > ?`,
      )
      .get(hashPassword(secret), this.now())
  }

  /** Counts one use. @throws ENROLMENT_REFUSED if none is left */
  use({ id }: Grant): void {
    const { changes } = this.db
      .prepare('UPDATE enrolmentTokens SET used = used + 1 WHERE id = ? AND used < uses')
      .run(id)
    if (changes === 0)
      throw new EspalierError(
        'ENROLMENT_REFUSED',
        'this token has been used as often as it may be; ask for a new one: espalier tokens create',
      )
  }

  #get(id: string): EnrolmentToken {
    const row = this.db
      .prepare<[string], TokenRow>(`SELECT ${columns} FROM enrolmentTokens WHERE id = ?`)
      .get(id)
    if (row) return this.#view(row)
    throw new EspalierError(
      'ENROLMENT_TOKEN_UNKNOWN',
      `there is no enrolment token '${id}'; see espalier tokens ls`,
    )
  }

  #view({ groupId, ...row }: TokenRow): EnrolmentToken {
    const over = row.expiresAt <= this.now() ? 'expired' : row.used >= row.uses ? 'used' : 'open'
    return { ...row, group: groupId, state: row.revokedAt !== null ? 'revoked' : over }
  }
}
