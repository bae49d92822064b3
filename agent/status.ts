import { asEspalierError, EspalierError } from '@espalier/shared'
import type { AgentState, Reported } from '@espalier/shared/messages/index.js'
import type { Clock } from './clock.js'
import type { Failure } from './select.js'
import { states } from './states.js'

export type Held = NonNullable<Reported['active']>

/** What an error is about: a newer one about the same thing replaces it, and success takes it away. */
export type Subject =
  | 'desired'
  | 'catalogue'
  | 'command'
  | 'credential'
  | 'keys'
  | 'service'
  | 'artifact'
  | 'candidate'
  | 'choice'
  | 'outbox'
  | 'hook'

export interface StatusOptions {
  readonly clock: Clock
  /** The parts of the message that others know. */
  readonly held: () => Pick<Reported, 'revision' | 'active' | 'previous' | 'droppedReports'>
  /** Something has changed; `progress` alone changes often. */
  readonly onChange: (what: 'state' | 'progress') => void
  readonly deadlines?: Partial<Record<AgentState, number>>
}

/** What the agent is doing and what is wrong: the content of `reported`. */
export class Status {
  readonly #options: StatusOptions
  readonly #errors = new Map<Subject, Failure>()
  #state: AgentState = 'idle'
  #candidate: Held | null = null
  #progress: { doneBytes: number; totalBytes: number } | null = null

  constructor(options: StatusOptions) {
    this.#options = options
  }

  get state(): AgentState {
    return this.#state
  }

  /** Goes to another state. @throws INTERNAL for a step that the table of states does not know. */
  to(state: AgentState, candidate: Held | null = this.#candidate): void {
    if (state !== this.#state && !states[this.#state].next.includes(state)) {
      throw new EspalierError('INTERNAL', `the agent cannot go from ${this.#state} to ${state}`)
    }
    this.#state = state
    this.#candidate = candidate
    this.#progress = null
    this.#options.onChange('state')
  }

  /**
   * Does work within the deadline of the present state; the work's signal aborts when that has passed, or
   * `signal` does. Time in which `isWaiting` holds is not counted. @throws DEADLINE_PASSED
   */
  async within<T>(
    signal: AbortSignal,
    work: (signal: AbortSignal) => Promise<T>,
    isWaiting: () => boolean = () => false,
  ): Promise<T> {
    const state = this.#state
    const limit = this.#options.deadlines?.[state] ?? states[state].deadlineMs ?? Number.POSITIVE_INFINITY
    const late = new AbortController()
    const tick = Math.min(1000, Math.max(10, limit / 10))
    let spent = 0
    const timer = setInterval(() => {
      if (!isWaiting()) spent += tick
      if (spent < limit) return
      late.abort(
        new EspalierError(
          'DEADLINE_PASSED',
          `${state} took longer than ${limit / 1000} s; it is tried again later`,
        ),
      )
    }, tick)
    try {
      return await work(AbortSignal.any([signal, late.signal]))
    } finally {
      clearInterval(timer)
    }
  }

  progress(doneBytes: number, totalBytes: number): void {
    this.#progress = { doneBytes, totalBytes }
    this.#options.onChange('progress')
  }

  /** Notes what is wrong with a subject. */
  fail(subject: Subject, thrown: unknown): EspalierError {
    const error = asEspalierError(thrown)
    this.note(subject, { code: error.code, message: error.message })
    return error
  }

  note(subject: Subject, { code, message }: Failure): void {
    const known = this.#errors.get(subject)
    this.#errors.delete(subject) // so that the newest comes last
    this.#errors.set(subject, { code, message: message.slice(0, 2000) })
    if (known?.code !== code || known.message !== message) this.#options.onChange('state')
  }

  clear(subject: Subject): void {
    if (this.#errors.delete(subject)) this.#options.onChange('state')
  }

  reported(): Reported {
    return {
      ...this.#options.held(),
      state: this.#state,
      candidate: this.#candidate,
      progress: this.#progress,
      error: [...this.#errors.values()].at(-1) ?? null,
      at: Math.floor(this.#options.clock.now()),
    }
  }
}
