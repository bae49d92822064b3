import { encode, type Report, type ReportsAck, reports } from '@espalier/shared/messages/index.js'
import { topic } from '@espalier/shared/topics.js'
import type { Clock } from './clock.js'
import type { Outbox } from './store/outbox.js'

export interface DispatchOptions {
  readonly device: string
  readonly outbox: Outbox
  readonly clock: Clock
  /** False while the broker or the service is away. */
  readonly isServed: () => boolean
  readonly publish: (topic: string, payload: Buffer) => Promise<void>
  /** Reports that the service will never store. */
  readonly onRefused: (refused: NonNullable<ReportsAck['refused']>) => void
  /** How long to wait for "stored" before sending again, ms. */
  readonly patienceMs?: number
}

const batch = 20
const mostUnderWay = 100

/**
 * Sends what the outbox holds and sends it again, until the service says that it is stored: an
 * acknowledgement of the broker says only that the broker has it.
 */
export class Dispatch {
  readonly #options: DispatchOptions
  readonly #sentAt = new Map<string, number>()
  #n = 0
  #timer: NodeJS.Timeout | null = null

  constructor(options: DispatchOptions) {
    this.#options = options
  }

  start(): void {
    const patience = this.#options.patienceMs ?? 30_000
    this.#timer ??= setInterval(() => this.pump(), Math.max(20, patience / 4))
  }

  stop(): void {
    if (this.#timer) clearInterval(this.#timer)
  }

  /** The service is back, and may never have seen what was sent before. */
  restart(): void {
    this.#sentAt.clear()
    this.pump()
  }

  acknowledged({ stored, refused = [] }: ReportsAck): void {
    for (const id of [...stored, ...refused.map((r) => r.id)]) {
      this.#options.outbox.remove(id)
      this.#sentAt.delete(id)
    }
    if (refused.length > 0) this.#options.onRefused(refused)
    this.pump()
  }

  /** Sends what waits and is not under way. */
  pump(): void {
    const { outbox, clock, isServed, patienceMs = 30_000 } = this.#options
    if (!isServed()) return
    const now = clock.now()
    const due: string[] = []
    let underWay = 0
    for (const id of outbox.ids()) {
      const sent = this.#sentAt.get(id)
      if (sent === undefined || now - sent > patienceMs) due.push(id)
      else underWay++
      if (due.length + underWay >= mostUnderWay) break
    }
    for (let i = 0; i < due.length; i += batch) this.#send(due.slice(i, i + batch), now)
  }

  #send(ids: readonly string[], now: number): void {
    const { outbox, device, publish } = this.#options
    const found = ids.flatMap((id) => outbox.read(id) ?? []).map((text) => JSON.parse(text) as Report)
    if (found.length === 0) return
    for (const id of ids) this.#sentAt.set(id, now)
    const sent = publish(topic('reports', { device, n: ++this.#n }), encode(reports, { reports: found }))
    // A failure means that the session has ended; after the next one begins they are sent again.
    sent.catch(() => {
      for (const id of ids) this.#sentAt.delete(id)
    })
  }
}
