import { asEspalierError, type ErrorCode } from '@espalier/shared'
import type { TopicName } from '@espalier/shared/topics.js'
import type { Handler, Logger } from './broker.js'

/** Errors that say nothing against the message: it is to come again. */
const ours: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['INTERNAL', 'DISK_FULL'])

const maxNameLength = 63

/** The handlers of an engine, and what becomes of a message that a handler refuses. */
export class Intake {
  readonly #handlers = new Map<TopicName, Handler>()
  readonly #refusals: Refusals

  constructor(refusals: Refusals) {
    this.#refusals = refusals
  }

  get names(): TopicName[] {
    return [...this.#handlers.keys()]
  }

  handle(name: TopicName, handler: Handler): void {
    this.#handlers.set(name, handler)
  }

  /** Hands a message over. @returns false if it should be sent again, for a reason that is not the message's. */
  async take(device: string, name: TopicName, payload: Buffer): Promise<boolean> {
    const handler = this.#handlers.get(name)
    if (!handler || payload.length === 0) return true // an empty payload only removes a retained message
    try {
      await handler({ device, payload })
      return true
    } catch (thrown) {
      const error = asEspalierError(thrown)
      const again = ours.has(error.code)
      const what = again
        ? `${name} could not be taken and is to be sent again: ${error.message}`
        : error.message
      this.#refusals.note(device, error.code, what)
      return !again
    }
  }
}

/** Logs what devices did wrong, each kind at most once in ten seconds for each device, with how often it happened. */
export class Refusals {
  readonly #counts = new Map<string, { since: number; count: number }>()
  readonly #log: Logger
  readonly #now: () => number

  constructor(log: Logger, now: () => number = Date.now) {
    this.#log = log
    this.#now = now
  }

  /** `name` is what a client calls itself, of which no more is kept than a device's id may have. */
  note(name: string, code: ErrorCode, message: string): void {
    const device = name.slice(0, maxNameLength)
    const key = `${device} ${code}`
    const known = this.#counts.get(key)
    if (known && this.#now() - known.since < 10_000) {
      known.count++
      return
    }
    if (this.#counts.size > 10_000) this.#counts.clear()
    this.#counts.set(key, { since: this.#now(), count: 0 })
    this.#log.warn({ device, code, alsoBefore: known?.count ?? 0 }, message.slice(0, 500))
  }
}
