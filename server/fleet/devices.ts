import { EspalierError } from '@espalier/shared'
import type { Facts, Presence, Reported } from '@espalier/shared/messages/index.js'
import type { Database } from '../store/index.js'
import { hashPassword, isPassword } from './credentials.js'

export interface DeviceRow {
  readonly id: string
  readonly online: number
  readonly epoch: number
  readonly lastSeenAt: number | null
  readonly facts: string | null
  readonly reported: string | null
  readonly createdAt: number
}

const columns = 'id, online, epoch, lastSeenAt, facts, reported, createdAt'

/** What the service keeps of each device: its credential, and what it said last. */
export class Devices {
  constructor(
    private readonly db: Database,
    private readonly now: () => number,
  ) {}

  /** @throws DEVICE_EXISTS */
  add(id: string, password: string): void {
    const { changes } = this.db
      .prepare('INSERT INTO devices (id, passwordHash, createdAt) VALUES (?, ?, ?) ON CONFLICT DO NOTHING')
      .run(id, hashPassword(password), this.now())
    if (changes === 0)
      throw new EspalierError('DEVICE_EXISTS', `a device '${id}' exists already; choose another id`)
  }

  hasPassword(id: string, password: string): boolean {
    const row = this.db
      .prepare<[string], { passwordHash: Buffer }>('SELECT passwordHash FROM devices WHERE id = ?')
      .get(id)
    return row !== undefined && isPassword(password, row.passwordHash)
  }

  /** @throws DEVICE_UNKNOWN */
  get(id: string): DeviceRow {
    const row = this.db.prepare<[string], DeviceRow>(`SELECT ${columns} FROM devices WHERE id = ?`).get(id)
    if (row) return row
    throw new EspalierError('DEVICE_UNKNOWN', `there is no device '${id}'; see espalier devices ls`)
  }

  /** By id, after the given one. */
  after(id: string, limit: number): DeviceRow[] {
    return this.db
      .prepare<[string, number], DeviceRow>(`SELECT ${columns} FROM devices WHERE id > ? ORDER BY id LIMIT ?`)
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

  #say(id: string, column: 'facts' | 'reported', text: string): boolean {
    return this.#changed(
      `UPDATE devices SET ${column} = @text, lastSeenAt = @now WHERE id = @id AND ${column} IS NOT @text`,
      { id, text },
    )
  }

  #changed(sql: string, values: Record<string, string | number>): boolean {
    return this.db.prepare(sql).run({ ...values, now: this.now() }).changes > 0
  }
}
