import { parse, reportsAck, servicePresence } from '@espalier/shared/messages/index.js'
import { type ParsedTopic, topic } from '@espalier/shared/topics.js'
import type { Centre } from './centre.js'
import type { Dispatch } from './dispatch.js'
import type { Documents } from './documents.js'
import type { Fetcher } from './fetch/fetcher.js'
import type { Keeper } from './keeper.js'
import type { Link } from './net/link.js'
import type { Orders } from './orders.js'
import type { Status, Subject } from './status.js'
import { diskError } from './store/errors.js'
import type { Trusted } from './trusted.js'
import type { Voice } from './voice.js'

export interface InboxOptions {
  readonly documents: Documents
  readonly trusted: Trusted
  readonly orders: Orders
  readonly centre: Centre
  readonly link: Link
  readonly fetcher: Fetcher
  readonly dispatch: Dispatch
  readonly keeper: Keeper
  readonly status: Status
  readonly voice: Voice
  readonly stateDir: string
  /** Pause before what was refused is asked for again, ms. */
  readonly retryMs?: number
  readonly log: (line: string) => void
}

/** Why a document may be refused though it is good: a disk that is full, a clock that is wrong, bytes that a bad link changed. */
const passing: ReadonlySet<string> = new Set([
  'DISK_FULL',
  'DOCUMENT_EXPIRED',
  'MESSAGE_INVALID',
  'SIGNATURE_INVALID',
])

/** Messages of the broker's: each is hostile until it is parsed, goes to the part whose it is, and is never a reason to stop. */
export class Inbox {
  readonly #options: InboxOptions
  #catalogueTopic: string | null = null
  #refresh: NodeJS.Timeout | null = null

  constructor(options: InboxOptions) {
    this.#options = options
  }

  start(): void {
    this.#followCatalogue()
  }

  stop(): void {
    if (this.#refresh) clearTimeout(this.#refresh)
  }

  receive(to: ParsedTopic, payload: Uint8Array): void {
    const { documents, keeper, trusted, link, dispatch } = this.#options
    switch (to.name) {
      case 'desired':
        this.#take('desired', () => this.#isDesired(payload))
        break
      case 'catalogue':
        this.#take('catalogue', () => {
          if (documents.takeCatalogue(payload)) keeper.changed()
        })
        break
      case 'command':
        this.#take('command', () => this.#obey(payload))
        break
      case 'credential':
        this.#take('credential', () => this.#isRenewed(payload))
        break
      case 'keys':
        this.#take('keys', () => {
          // What was refused under the old keys is asked for again.
          if (trusted.take(payload)) link.refresh()
        })
        break
      case 'reportsAck':
        this.#take('outbox', () => dispatch.acknowledged(parse(reportsAck, payload)))
        break
      case 'servicePresence':
        this.#take('service', () => this.#isPresent(payload))
    }
  }

  /** Takes a message in, or notes why it is refused; accepting one takes away what was noted of its kind. */
  #take(subject: Subject, take: () => void): void {
    const { status, stateDir, log } = this.#options
    try {
      take()
      if (subject !== 'outbox' && subject !== 'service') status.clear(subject)
    } catch (e) {
      const error = status.fail(subject, diskError(e, stateDir))
      log(`${error.code}: ${error.message}`)
      if (passing.has(error.code)) this.#refreshLater()
    }
  }

  /** What is refused for a reason that may pass is retained by the broker: it is asked for again. */
  #refreshLater(): void {
    const { link, retryMs = 60_000 } = this.#options
    if (this.#refresh) clearTimeout(this.#refresh)
    this.#refresh = setTimeout(() => link.refresh(), retryMs)
  }

  #isPresent(payload: Uint8Array): void {
    const { centre, fetcher, dispatch, keeper } = this.#options
    if (!centre.says(parse(servicePresence, payload))) return
    fetcher.resume()
    dispatch.restart()
    keeper.changed()
  }

  #isDesired(payload: Uint8Array): void {
    const { documents, voice, keeper } = this.#options
    if (!documents.takeDesired(payload)) return
    this.#followCatalogue()
    voice.changed('state')
    keeper.changed()
  }

  #followCatalogue(): void {
    const {
      documents: { desired },
      link,
    } = this.#options
    if (!desired) return
    const wanted = topic('catalogue', { model: desired.model, version: desired.version })
    if (this.#catalogueTopic && this.#catalogueTopic !== wanted) link.unsubscribe(this.#catalogueTopic)
    this.#catalogueTopic = wanted
    link.subscribe(wanted)
  }

  #obey(payload: Uint8Array): void {
    const { orders, keeper, voice } = this.#options
    const { order, isNew } = orders.command(payload)
    if (isNew && order.action === 'benchmark') keeper.remeasure()
    if (isNew && order.action === 'select') keeper.reselect()
    if (isNew && order.action === 'logs') voice.sendLogs(order.n)
    voice.acknowledge(order.n)
  }

  #isRenewed(payload: Uint8Array): void {
    const { orders, link, log } = this.#options
    const renewed = orders.renewal(payload)
    if (!renewed) return
    log('the service has given this device a new password; connecting with it')
    link.renew(renewed)
  }
}
