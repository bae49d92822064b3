import { createPublicKey, type KeyObject } from 'node:crypto'
import { type Command, type CommandAck, command } from '@espalier/shared/messages/index.js'
import { isSignedBy, seal } from '@espalier/shared/signing.js'
import { topic } from '@espalier/shared/topics.js'
import type { Broker } from '../broker/index.js'
import type { DeviceCommand } from '../http/schemas/index.js'
import type { Database } from '../store/index.js'

const lifetimeMs = 24 * 3600 * 1000

interface CommandRow {
  readonly device: string
  readonly n: number
  readonly document: Buffer
}

/** Signed commands, sent whenever the device is heard of until it acknowledges them or they expire. */
export class Commands {
  constructor(
    private readonly db: Database,
    private readonly broker: Broker,
    private readonly key: KeyObject,
    private readonly now: () => number,
  ) {}

  /** @returns the command's number. */
  add(device: string, { action }: DeviceCommand): number {
    const last = this.db
      .prepare<[string], { n: number | null }>('SELECT max(n) AS n FROM commands WHERE device = ?')
      .get(device)
    const n = (last?.n ?? 0) + 1
    const issuedAt = this.now()
    const expiresAt = issuedAt + lifetimeMs
    const document = seal(command, { type: 'command', device, n, issuedAt, expiresAt, action }, this.key)
    this.db
      .prepare('INSERT INTO commands (device, n, action, expiresAt, document) VALUES (?, ?, ?, ?, ?)')
      .run(device, n, action, expiresAt, document)
    this.#send({ device, n, document })
    return n
  }

  sendWaiting(device: string): void {
    const rows = this.db
      .prepare<[string, number], CommandRow>(
        'SELECT device, n, document FROM commands WHERE device = ? AND ack IS NULL AND expiresAt > ? ORDER BY n',
      )
      .all(device, this.now())
    for (const row of rows) this.#send(row)
  }

  /** Signs anew what waits and was signed by another key. */
  renew(): void {
    const rows = this.db
      .prepare<[number], CommandRow>(
        'SELECT device, n, document FROM commands WHERE ack IS NULL AND expiresAt > ?',
      )
      .all(this.now())
    const update = this.db.prepare('UPDATE commands SET document = ? WHERE device = ? AND n = ?')
    for (const { device, n, document } of rows) {
      const envelope = JSON.parse(document.toString()) as { signed: Command }
      if (!isSignedBy(envelope, [createPublicKey(this.key)]))
        update.run(seal(command, envelope.signed, this.key), device, n)
    }
  }

  /** @returns whether it was the first acknowledgement. */
  acknowledge(device: string, ack: CommandAck): boolean {
    const { changes } = this.db
      .prepare('UPDATE commands SET ack = ? WHERE device = ? AND n = ? AND ack IS NULL')
      .run(JSON.stringify(ack), device, ack.n)
    return changes > 0
  }

  #send({ device, n, document }: CommandRow): void {
    this.broker.send(device, topic('command', { device, n }), document)
  }
}
