import { EspalierError } from '@espalier/shared'
import type { Group, PageQuery } from '../http/schemas/index.js'
import { afterCursor, type Database, defaultLimit, type Page, pageOf } from '../store/index.js'
import type { Order } from './desired.js'

/** Named sets of devices. What is assigned to a group holds for those who join it later too. */
export class Groups {
  constructor(private readonly db: Database) {}

  list({ cursor, limit = defaultLimit }: PageQuery): Page<Group> {
    const rows = this.db
      .prepare<[string, number], { id: string }>(
        'SELECT id FROM deviceGroups WHERE id > ? ORDER BY id LIMIT ?',
      )
      .all(afterCursor(cursor) ?? '', limit + 1)
    return pageOf(
      rows.map(({ id }) => ({ id, devices: this.#members(id) })),
      limit,
      (group) => group.id,
    )
  }

  /** @throws GROUP_UNKNOWN */
  get(id: string): Group {
    if (this.db.prepare('SELECT 1 FROM deviceGroups WHERE id = ?').get(id))
      return { id, devices: this.#members(id) }
    throw new EspalierError('GROUP_UNKNOWN', `there is no group '${id}'; see espalier devices ls --groups`)
  }

  of(device: string): string[] {
    return this.db
      .prepare<[string], { groupId: string }>(
        'SELECT groupId FROM groupMembers WHERE device = ? ORDER BY groupId',
      )
      .all(device)
      .map(({ groupId }) => groupId)
  }

  /** Adds a device to a group, which is made if need be. */
  join(id: string, device: string): void {
    this.db.prepare('INSERT INTO deviceGroups (id) VALUES (?) ON CONFLICT DO NOTHING').run(id)
    this.db
      .prepare('INSERT INTO groupMembers (groupId, device) VALUES (?, ?) ON CONFLICT DO NOTHING')
      .run(id, device)
  }

  /** Makes the group consist of exactly these devices. @returns those that are new in it. */
  set(id: string, devices: readonly string[]): string[] {
    this.db.prepare('INSERT INTO deviceGroups (id) VALUES (?) ON CONFLICT DO NOTHING').run(id)
    const before = new Set(this.#members(id))
    this.db.prepare('DELETE FROM groupMembers WHERE groupId = ?').run(id)
    for (const device of devices) this.join(id, device)
    return devices.filter((device) => !before.has(device))
  }

  assign(id: string, order: Order): void {
    this.db.prepare('UPDATE deviceGroups SET assignment = ? WHERE id = ?').run(JSON.stringify(order), id)
  }

  assignment(id: string): Order | undefined {
    const row = this.db
      .prepare<[string], { assignment: string | null }>('SELECT assignment FROM deviceGroups WHERE id = ?')
      .get(id)
    return row?.assignment ? (JSON.parse(row.assignment) as Order) : undefined
  }

  #members(id: string): string[] {
    return this.db
      .prepare<[string], { device: string }>(
        'SELECT device FROM groupMembers WHERE groupId = ? ORDER BY device',
      )
      .all(id)
      .map(({ device }) => device)
  }
}
