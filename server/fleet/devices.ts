import { EspalierError } from '@espalier/shared'
import type { Facts, Presence, Reported, UnmetWish } from '@espalier/shared/messages/index.js'
import type { Database } from '../store/index.js'
import { hashPassword, isPassword } from './credentials.js'

export interface DeviceRow {
  readonly id: string
  readonly online: number
  readonly epoch: number
  readonly lastSeenAt: number | null
  readonly facts: string | null
  readonly reported: string | null
  readonly wish: string | null
  readonly createdAt: number
  readonly revokedAt: number | null
}

/** By which token a device came, and the key that it holds. */
export interface Enrolled {
  readonly publicKey: string
  readonly token: string
}

const columns = 'id, online, epoch, lastSeenAt, facts, reported, wish, createdAt, revokedAt'

/** What the service keeps of each device: its credential, and what it said last. */
export class Devices {
  constructor(
    private readonly db: Database,
    private readonly now: () => number,
  ) {}

  /** @throws DEVICE_EXISTS; REQUEST_INVALID for an id that a claim might have */
  add(id: string, password: string, enrolled?: Enrolled): void {
    requireIdOfDevice(id)
    const { changes } = this.db
      .prepare(
        `INSERT INTO devices (id, passwordHash, publicKey, token, createdAt) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT DO NOTHING`,
      )
      .run(id, hashPassword(password), enrolled?.publicKey ?? null, enrolled?.token ?? null, this.now())
    if (changes === 0)
      throw new EspalierError(
        'DEVICE_EXISTS',
        `a device '${id}' exists already, or did; choose another id, or replace it: espalier tokens create --device ${id}`,
      )
  }

  has(id: string): boolean {
    return this.db.prepare('SELECT 1 FROM devices WHERE id = ?').get(id) !== undefined
  }

  /** The device that came by this token with this key, unless it was revoked or retired since. */
  enrolledWith(token: string, publicKey: string): string | undefined {
    return this.db
      .prepare<[string, string], { id: string }>(
        'SELECT id FROM devices WHERE token = ? AND publicKey = ? AND revokedAt IS NULL AND retiredAt IS NULL',
      )
      .get(token, publicKey)?.id
  }

  setPassword(id: string, password: string): void {
    this.db
      .prepare('UPDATE devices SET passwordHash = ?, nextPasswordHash = NULL WHERE id = ?')
      .run(hashPassword(password), id)
  }

  /** Other hardware takes the device's place: what the old one said of itself is forgotten, its reports stay. */
  replace(id: string, password: string, { publicKey, token }: Enrolled): void {
    this.setPassword(id, password)
    this.db
      .prepare(
        `UPDATE devices SET publicKey = ?, token = ?, online = 0, epoch = 0, facts = NULL, reported = NULL,
         wish = NULL, rotating = 0, revokedAt = NULL, retiredAt = NULL WHERE id = ?`,
      )
      .run(publicKey, token, id)
  }

  /** Its credential is worth nothing from now on. */
  revoke(id: string): void {
    this.db
      .prepare('UPDATE devices SET revokedAt = ?, nextPasswordHash = NULL, rotating = 0 WHERE id = ?')
      .run(this.now(), id)
  }

  /** It is no device any more; its id stays taken, so that its reports remain its own. */
  retire(id: string): void {
    this.revoke(id)
    this.db.prepare('UPDATE devices SET retiredAt = ?, online = 0 WHERE id = ?').run(this.now(), id)
    for (const table of ['groupMembers', 'desired', 'commands', 'deviceLogs'])
      this.db.prepare(`DELETE FROM ${table} WHERE device = ?`).run(id)
  }

  /** Says that a new password is due, unless one is already. @returns its number, which rises */
  rotate(id: string): number {
    this.db
      .prepare('UPDATE devices SET rotating = 1, rotation = rotation + 1 WHERE id = ? AND rotating = 0')
      .run(id)
    return this.due(id) ?? 0
  }

  /** The number of the password that is due. */
  due(id: string): number | undefined {
    return this.db
      .prepare<[string], { rotation: number }>('SELECT rotation FROM devices WHERE id = ? AND rotating = 1')
      .get(id)?.rotation
  }

  /** Takes a password as the one that follows. */
  setNextPassword(id: string, password: string): void {
    this.db.prepare('UPDATE devices SET nextPasswordHash = ? WHERE id = ?').run(hashPassword(password), id)
  }

  /** Whether this is the device's password, or the one that follows it, which it is then from now on. */
  hasPassword(id: string, password: string): boolean {
    const row = this.db
      .prepare<[string], { passwordHash: Buffer; nextPasswordHash: Buffer | null }>(
        'SELECT passwordHash, nextPasswordHash FROM devices WHERE id = ? AND revokedAt IS NULL',
      )
      .get(id)
    if (!row) return false
    if (isPassword(password, row.passwordHash)) return true
    if (!row.nextPasswordHash || !isPassword(password, row.nextPasswordHash)) return false
    this.setPassword(id, password)
    this.db.prepare('UPDATE devices SET rotating = 0 WHERE id = ?').run(id)
    return true
  }

  /** @throws DEVICE_UNKNOWN */
  get(id: string): DeviceRow {
    const row = this.db
      .prepare<[string], DeviceRow>(`SELECT ${columns} FROM devices WHERE id = ? AND retiredAt IS NULL`)
      .get(id)
    if (row) return row
    throw new EspalierError('DEVICE_UNKNOWN', `there is no device '${id}'; see espalier devices ls`)
  }

  /** By id, after the given one. */
  after(id: string, limit: number): DeviceRow[] {
    return this.db
      .prepare<[string, number], DeviceRow>(
        `SELECT ${columns} FROM devices WHERE id > ? AND retiredAt IS NULL ORDER BY id LIMIT ?`,
      )
      .all(id, limit)
  }

  /** Nobody is connected: the service has just started. */
  allOffline(): void {
    this.db.prepare('UPDATE devices SET online = 0 WHERE online = 1').run()
  }

  /**
   * A birth holds. A will of an earlier connection than the last birth's says nothing: it came late.
   * @returns whether anything changed.
   */
  presence(id: string, { online, epoch }: Presence): boolean {
    return this.#changed(
      `UPDATE devices SET online = @online, epoch = @epoch, lastSeenAt = @now
       WHERE id = @id AND (@online = 1 OR epoch <= @epoch)`,
      { id, online: online ? 1 : 0, epoch },
    )
  }

  facts(id: string, facts: Facts): boolean {
    return this.#say(id, 'facts', JSON.stringify(facts))
  }

  reported(id: string, reported: Reported): boolean {
    return this.#say(id, 'reported', JSON.stringify(reported))
  }

  /** Null: every wish of it is satisfied. */
  wish(id: string, wish: UnmetWish | null): boolean {
    return this.#say(id, 'wish', wish && JSON.stringify(wish))
  }

  #say(id: string, column: 'facts' | 'reported' | 'wish', text: string | null): boolean {
    return this.#changed(
      `UPDATE devices SET ${column} = @text, lastSeenAt = @now WHERE id = @id AND ${column} IS NOT @text`,
      { id, text },
    )
  }

  #changed(sql: string, values: Record<string, string | number | null>): boolean {
    return this.db.prepare(sql).run({ ...values, now: this.now() }).changes > 0
  }
}

/** @throws REQUEST_INVALID for an id that a claim might have */
export function requireIdOfDevice(id: string): void {
  if (id.startsWith('claim-'))
    throw new EspalierError(
      'REQUEST_INVALID',
      `'${id}' can be no device's id: 'claim-' is for those that enrol`,
    )
}
