import { join } from 'node:path'
import { EspalierError } from '@espalier/shared'
import {
  type BlocksRequest,
  blocksRequest,
  commandAck,
  encode,
  type Facts,
  facts,
  logs,
  maxLogBytes,
  type Reported,
  reported,
  type UnmetWish,
  wish,
} from '@espalier/shared/messages/index.js'
import { topic } from '@espalier/shared/topics.js'
import type { Clock } from './clock.js'
import type { Link } from './net/link.js'
import { errnoOf, writeAtomic } from './store/files.js'
import { readLog } from './store/log-file.js'

export interface VoiceOptions {
  readonly device: string
  readonly facts: Facts
  readonly stateDir: string
  readonly clock: Clock
  readonly link: Pick<Link, 'online' | 'publish'>
  readonly reported: () => Reported
  readonly log: (line: string) => void
}

/** What the device says of itself, beside its reports: it is said anew in every session, so that nothing of it waits. */
export class Voice {
  readonly #options: VoiceOptions
  #progressAt = 0
  #wish: UnmetWish | null = null

  constructor(options: VoiceOptions) {
    this.#options = options
  }

  /** A session begins. */
  introduce(): void {
    const { device, facts: content } = this.#options
    this.#publish(topic('facts', { device }), encode(facts, content), true)
    this.changed('state')
    this.#tellWish()
  }

  /** Tells the disk (for `status`) and the broker what has changed; progress at most once a second. */
  changed(what: 'state' | 'progress'): void {
    const { clock, device } = this.#options
    const now = clock.now()
    if (what === 'progress' && now - this.#progressAt < 1000) return
    this.#progressAt = now
    const content = this.#options.reported()
    if (what === 'state') this.#keep(content)
    this.#publish(topic('reported', { device }), encode(reported, content), true)
  }

  /** What no variant satisfies; null once one does. */
  wishes(unmet: UnmetWish | null): void {
    this.#wish = unmet
    this.#tellWish()
  }

  /** A command is done. */
  acknowledge(n: number): void {
    const to = topic('commandAck', { device: this.#options.device, n })
    this.#publish(to, encode(commandAck, { n, done: true, error: null }))
  }

  /** The end of the log, as command `n` asks. */
  sendLogs(n: number): void {
    const { device, clock, stateDir } = this.#options
    const text = readLog(join(stateDir, 'logs'), maxLogBytes)
    this.#publish(topic('logs', { device }), encode(logs, { n, at: Math.floor(clock.now()), text }))
  }

  /** For blocks. */
  asks(request: BlocksRequest): void {
    this.#publish(topic('blocksRequest', { device: this.#options.device }), encode(blocksRequest, request))
  }

  #tellWish(): void {
    this.#publish(topic('wish', { device: this.#options.device }), encode(wish, { wish: this.#wish }))
  }

  #keep(content: Reported): void {
    const { log, stateDir } = this.#options
    const { state, candidate, error } = content
    const which = candidate ? ` ${candidate.variant.slice(0, 12)}` : ''
    log(`${state}${which}${error ? `: ${error.code}: ${error.message}` : ''}`)
    try {
      writeAtomic(join(stateDir, 'reported.json'), `${JSON.stringify(content)}\n`)
    } catch (e) {
      if (errnoOf(e) === undefined) throw e // the disk's own error is on its way to `reported` already
    }
  }

  /** Sends what the next session says anew anyway, so that its loss is no error. */
  #publish(to: string, payload: Buffer, retain = false): void {
    const { link } = this.#options
    if (!link.online) return
    link.publish(to, payload, { retain }).catch((e: unknown) => {
      if (!(e instanceof EspalierError)) throw e
    })
  }
}
