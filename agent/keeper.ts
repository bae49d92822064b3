import { EspalierError } from '@espalier/shared'
import type { CatalogueVariant, Goal, UnmetWish } from '@espalier/shared/messages/index.js'
import type { Candidate } from './activation.js'
import { Chooser } from './chooser.js'
import type { Clock } from './clock.js'
import type { Documents } from './documents.js'
import { Resting } from './resting.js'
import type { Limits } from './select.js'
import { diskError } from './store/errors.js'
import { isLasting, Trials, type TrialsOptions } from './trials.js'

export interface KeeperOptions extends Omit<TrialsOptions, 'chooser' | 'resting' | 'stopped'> {
  readonly documents: Documents
  readonly clock: Clock
  /** What the device itself allows and chooses by; the assignment may say more. */
  readonly limits: Limits
  readonly goal: Goal
  /** What no variant satisfies, as often as it changes; null once one does. */
  readonly onWish: (wish: UnmetWish | null) => void
  /** First and longest pause before a variant that failed is tried again, ms. */
  readonly retryMs?: readonly [first: number, longest: number]
}

const defaultRetryMs = [60_000, 3_600_000] as const

/**
 * Brings the device to the variant that serves it best, and keeps it there. Each round asks `choose` for the next
 * step and does it; what it did is on disk before the next round, so a power cut loses at most one step.
 */
export class Keeper {
  readonly #options: KeeperOptions
  readonly #resting: Resting
  readonly #chooser: Chooser
  readonly #trials: Trials
  readonly #stop = new AbortController()
  #wake: () => void = () => {}
  #isWoken = false
  #isHealed = false
  #remeasure = false
  #confirming: NodeJS.Timeout | null = null
  #unmetSince: number | null = null
  #running: Promise<void> | null = null

  constructor(options: KeeperOptions) {
    this.#options = options
    const { clock, retryMs = defaultRetryMs } = options
    this.#resting = new Resting(() => clock.now(), retryMs)
    this.#chooser = new Chooser({ ...options, restMs: retryMs })
    this.#trials = new Trials({
      ...options,
      chooser: this.#chooser,
      resting: this.#resting,
      stopped: this.#stop.signal,
    })
  }

  start(): void {
    this.#running ??= this.#run()
  }

  async stop(): Promise<void> {
    this.#stop.abort(new EspalierError('INTERRUPTED', 'the agent was stopped'))
    if (this.#confirming) clearTimeout(this.#confirming)
    this.#wake()
    await this.#running
  }

  /** Something that bears on the choice has changed. Work on what would not be chosen any more ends. */
  changed(): void {
    this.#isWoken = true
    this.#trials.keepOnly(() => this.#wanted())
    this.#wake()
  }

  /** The active variant is to be measured again. */
  remeasure(): void {
    this.#remeasure = true
    this.changed()
  }

  /** Everything is to be measured and chosen anew. */
  reselect(): void {
    this.#chooser.clear()
    this.#resting.clear()
    this.changed()
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      this.#isWoken = false
      const pauseMs = await this.#roundOrPause()
      if (pauseMs !== null && !this.#isWoken && !this.#stop.signal.aborted) await this.#sleep(pauseMs)
    }
  }

  /** One round; null to go on at once, or how long to rest at most. */
  async #roundOrPause(): Promise<number | null> {
    const { status, artifacts, clock, retryMs = defaultRetryMs } = this.#options
    try {
      if (!this.#isHealed) await this.#heal()
      const began = clock.now()
      const isDone = await this.#round()
      return isDone ? this.#resting.nextMs(began) : null
    } catch (e) {
      status.fail('choice', diskError(e, artifacts.root))
      return retryMs[0]
    }
  }

  async #heal(): Promise<void> {
    const hopeless = await this.#options.activation.heal()
    this.#isHealed = true
    if (hopeless) this.#options.outcomes.set(hopeless.digest, { failure: hopeless })
  }

  /** One step. True when there is nothing more to do until something changes. */
  async #round(): Promise<boolean> {
    const { artifacts, status, outcomes, documents, activation } = this.#options
    const { desired, catalogue } = documents
    const choice = this.#choose()
    if (!choice || !desired || !catalogue) {
      this.#settle()
      return true
    }
    const offered = new Set(catalogue.variants.map((v) => v.digest))
    outcomes.keepOnly(offered)
    this.#forgetAllBut(offered)
    const candidateOf = (variant: CatalogueVariant): Candidate => ({
      variant,
      held: { model: desired.model, version: desired.version, variant: variant.digest },
    })
    if (choice.kind === 'none') {
      if (this.#resting.resting().length === 0) {
        status.note('choice', choice.failure)
        this.#isUnmet()
      }
      const active = catalogue.variants.find(({ digest }) => digest === activation.active)
      if (this.#remeasure && active) return !(await this.#measureAgain(candidateOf(active)))
      this.#settle()
      return true
    }
    status.clear('choice')
    this.#isMet()
    const { variant } = choice
    const candidate = candidateOf(variant)
    if (choice.kind === 'try' || !artifacts.has(variant.digest)) return await this.#attempt(candidate)
    if (variant.digest !== activation.active) activation.activate(candidate)
    if (activation.unproven === variant.digest) {
      if (!(await this.#prove(candidate))) return false
    } else if (this.#remeasure && (await this.#measureAgain(candidate))) return false
    this.#settle()
    artifacts.evict(this.#resting.all())
    return true
  }

  /** What to do next; null while nothing is asked of this device. */
  #choose() {
    return this.#chooser.choose(this.#options.activation.active, this.#resting.resting())
  }

  #isUnmet(): void {
    this.#unmetSince ??= this.#options.clock.now()
    this.#options.onWish(this.#chooser.wish(Math.floor(this.#unmetSince)))
  }

  #isMet(): void {
    if (this.#unmetSince === null) return
    this.#unmetSince = null
    this.#options.onWish(null)
  }

  #wanted(): string | null {
    const choice = this.#choose()
    return choice === null || choice.kind === 'none' ? null : choice.variant.digest
  }

  /** What is not offered any more will not be tried again either. */
  #forgetAllBut(offered: ReadonlySet<string>): void {
    const before = this.#resting.size
    this.#resting.keepOnly(offered)
    if (before > 0 && this.#resting.size === 0) this.#options.status.clear('candidate')
  }

  /** Back to rest, with what runs; that a candidate was rejected or failed stays to be seen. */
  #settle(): void {
    const { status, activation } = this.#options
    const state = activation.active ? 'active' : 'idle'
    if (!['rejected', 'failed', 'rolled-back', state].includes(status.state)) status.to(state, null)
  }

  /** Fetches a variant if it is not here, and measures it if it was not. True if that has to wait. */
  async #attempt(candidate: Candidate): Promise<boolean> {
    const { artifacts, fetcher } = this.#options
    if (!artifacts.has(candidate.variant.digest) && !fetcher.isServed) {
      this.#settle()
      return true // whoever is away wakes us when it returns
    }
    await this.#trials.attempt(candidate)
    return false
  }

  /** Measures the active variant again. Whether that changes what is known, and the choice may. */
  async #measureAgain(candidate: Candidate): Promise<boolean> {
    const { retryMs: [soonMs] = defaultRetryMs } = this.#options
    this.#remeasure = false
    const found = await this.#trials.measureAgain(candidate)
    if (found === 'broken') this.#confirming = setTimeout(() => this.remeasure(), soonMs)
    return found === 'changed'
  }

  /** Whether the active variant proved itself; one that did not is left out, for good or for a while. */
  async #prove(candidate: Candidate): Promise<boolean> {
    const { activation, outcomes } = this.#options
    const { digest } = candidate.variant
    const proof = await activation.prove(candidate, this.#chooser.limits(), this.#stop.signal)
    if (proof === null || proof.proved) return true
    if (isLasting(proof.failure.code)) outcomes.set(digest, { failure: proof.failure })
    else this.#resting.failed(digest)
    return false
  }

  /** Waits until something changes, `ms` at most. */
  async #sleep(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = Number.isFinite(ms) ? setTimeout(resolve, Math.min(ms + 1, 2 ** 31 - 1)) : undefined
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
    this.#wake = () => {}
  }
}
