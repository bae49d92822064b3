import type { Logs } from '@espalier/shared/messages/index.js'
import type { Database } from '../store/index.js'

/** The newest log of each device. */
export class DeviceLogs {
  constructor(private readonly db: Database) {}

  /** Keeps a log that a command asked for, in place of the one before; what nobody asked for is not kept. */
  keep(device: string, { n, at, text }: Logs): boolean {
    const { changes } = this.db
      .prepare(
        `INSERT OR REPLACE INTO deviceLogs (device, n, at, text)
         SELECT device, n, ?, ? FROM commands WHERE device = ? AND n = ? AND action = 'logs'`,
      )
      .run(at, text, device, n)
    return changes > 0
  }

  get(device: string): Logs | null {
    return (
      this.db.prepare<[string], Logs>('SELECT n, at, text FROM deviceLogs WHERE device = ?').get(device) ??
      null
    )
  }
}
