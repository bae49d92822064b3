import type { CatalogueVariant, Goal, UnmetWish } from '@espalier/shared/messages/index.js'
import type { Clock } from './clock.js'
import type { Documents } from './documents.js'
import type { Benchmark } from './measure/benchmark.js'
import { memoryOf } from './ranking.js'
import { type Choice, choose, type Figures, type Limits, verdict } from './select.js'
import type { Outcomes } from './store/outcomes.js'

export interface ChooserOptions {
  readonly documents: Pick<Documents, 'desired' | 'catalogue'>
  readonly outcomes: Outcomes
  readonly clock: Clock
  /** What the device itself allows; the assignment may be tighter. */
  readonly limits: Limits
  /** What the device chooses by where the assignment does not say other than by accuracy. */
  readonly goal: Goal
  /** First and longest rest of a variant that broke a limit while it was active, ms. */
  readonly restMs: readonly [first: number, longest: number]
}

/** Cooler by so many °C than when a variant broke a limit, a machine may do better. */
const COOLER_BY_C = 5

/**
 * Which variant should run, by all that is known. What runs and is measured again changes the choice with hysteresis: it
 * has to break a limit twice in a row; it rests then, longer each time, and is measured again once the machine is cooler
 * and not throttled; and it comes back only if it keeps the limits by a margin.
 */
export class Chooser {
  readonly #options: ChooserOptions
  /** Variants whose rest is over: what is known of them does not count any more. */
  readonly #again = new Set<string>()
  #broken = 0

  constructor(options: ChooserOptions) {
    this.#options = options
  }

  /** What to do next; null while nothing is asked of this device. */
  choose(active: string | null, resting: readonly string[]): Choice | null {
    const { desired, catalogue } = this.#options.documents
    if (!desired || !catalogue) return null
    return choose({
      variants: catalogue.variants,
      goal: this.#goal(),
      limits: this.limits(),
      outcomes: new Map([...this.#options.outcomes.known].filter(([digest]) => !this.#again.has(digest))),
      excluded: new Set([...(desired.withdrawn ?? []), ...resting]),
      pinned: desired.pinned,
      active,
    })
  }

  /** The tighter of the device's own limits and the assignment's. */
  limits(): Limits {
    const { limits, documents } = this.#options
    const { memoryBytes, p95Ms, top1 } = documents.desired?.objective ?? {}
    const given = (...values: (number | null | undefined)[]) => values.filter((v) => typeof v === 'number')
    const [p95Limits, floors] = [given(limits.p95Ms, p95Ms), given(limits.top1, top1)]
    return {
      memoryBytes: Math.min(limits.memoryBytes, memoryBytes ?? Number.POSITIVE_INFINITY),
      p95Ms: p95Limits.length > 0 ? Math.min(...p95Limits) : null,
      top1: floors.length > 0 ? Math.max(...floors) : null,
    }
  }

  /** Whether something has to be measured before it is known if this variant may run. */
  isOpen(digest: string): boolean {
    return this.#again.has(digest) || !this.#options.outcomes.known.has(digest)
  }

  /** Takes in what was measured of a candidate; how it fails the limits, or null. */
  measured(digest: string, benchmark: Benchmark) {
    const { outcomes, clock, restMs } = this.#options
    const before = this.#heldBack(digest)
    const pauseMs = Math.min(2 * (before?.pauseMs ?? restMs[0]), restMs[1])
    const { temperatureC } = benchmark
    const figures = figuresOf(benchmark)
    const failure = verdict({ ...figures, heldBack: before }, this.limits())
    const heldBack = before && failure ? { at: clock.now(), pauseMs, temperatureC } : undefined
    this.#again.delete(digest)
    outcomes.set(digest, { ...figures, ...(heldBack && { heldBack }) })
    return failure
  }

  /**
   * Takes in what was measured again of what runs. `broken` the first time that a limit is: it should be measured once
   * more, soon; `changed` if what is known has changed, and the choice may.
   */
  measuredAgain(digest: string, benchmark: Benchmark): 'as before' | 'broken' | 'changed' {
    const { outcomes, clock, restMs } = this.#options
    const figures = figuresOf(benchmark)
    const heldBack = this.#heldBack(digest)
    const failure = verdict({ ...figures, heldBack }, this.limits())
    if (!failure) {
      this.#broken = 0
      if (!heldBack) return this.#wake(benchmark) ? 'changed' : 'as before'
      outcomes.set(digest, figures)
      return 'changed'
    }
    if (heldBack) return 'as before'
    this.#broken++
    if (this.#broken < 2) return 'broken'
    this.#broken = 0
    const { temperatureC } = benchmark
    outcomes.set(digest, { ...figures, heldBack: { at: clock.now(), pauseMs: restMs[0], temperatureC } })
    return 'changed'
  }

  /** What would have to be compiled, while `choose` says that nothing fits. */
  wish(since: number): UnmetWish | null {
    const { desired, catalogue } = this.#options.documents
    if (!desired || !catalogue) return null
    const { memoryBytes, p95Ms, top1 } = this.limits()
    const offered = catalogue.variants.filter(({ digest }) => !desired.withdrawn?.includes(digest))
    const known = offered.map((variant) => this.#takes(variant))
    // How many times over its limit the worst of a variant's figures is; what nobody knows counts for nothing.
    const excess = (takes: (typeof known)[number]) =>
      Math.max(
        (takes.memoryBytes ?? 0) / memoryBytes,
        p95Ms === null ? 0 : (takes.p95Ms ?? 0) / p95Ms,
        top1 === null ? 0 : top1 / (takes.top1 ?? 0),
      )
    return {
      ...{ model: desired.model, version: desired.version, maximise: this.#goal() },
      ...{ memoryBytes, p95Ms, top1, since },
      nearest: known.length > 0 ? known.reduce((a, b) => (excess(b) < excess(a) ? b : a)) : null,
    }
  }

  /** Forgets what was measured, so that everything is measured anew. */
  clear(): void {
    this.#options.outcomes.clear()
    this.#again.clear()
    this.#broken = 0
  }

  /** Lets variants be measured again whose rest is over, if the machine does better than when they broke a limit. */
  #wake({ throttled, temperatureC }: Benchmark): boolean {
    if (throttled) return false
    const { outcomes, clock } = this.#options
    const woken = [...outcomes.known.keys()].filter((digest) => {
      const heldBack = this.#heldBack(digest)
      if (!heldBack || clock.now() < heldBack.at + heldBack.pauseMs) return false
      return (temperatureC ?? 0) <= (heldBack.temperatureC ?? Number.POSITIVE_INFINITY) - COOLER_BY_C
    })
    for (const digest of woken) this.#again.add(digest)
    return woken.length > 0
  }

  #heldBack(digest: string): Figures['heldBack'] {
    const outcome = this.#options.outcomes.known.get(digest)
    return outcome && 'heldBack' in outcome ? outcome.heldBack : undefined
  }

  #goal(): Goal {
    const asked = this.#options.documents.desired?.objective.maximise ?? 'accuracy'
    return asked === 'accuracy' ? this.#options.goal : asked
  }

  #takes(variant: CatalogueVariant) {
    const { digest, name, top1 } = variant
    const outcome = this.#options.outcomes.known.get(digest)
    const figures = outcome && !('failure' in outcome) ? outcome : null
    return {
      ...{ variant: digest, name, measured: figures !== null, top1: top1?.value ?? null },
      memoryBytes: figures?.measuredRamBytes ?? memoryOf(variant),
      p95Ms: figures ? (figures.p95Ms ?? figures.p50Ms) : null,
    }
  }
}

const figuresOf = ({ measuredRamBytes, p50Ms, p95Ms, setup, incumbent }: Benchmark): Figures => ({
  measuredRamBytes,
  p50Ms,
  p95Ms,
  setup,
  ...(incumbent && { beside: { digest: incumbent.variant, p50Ms: incumbent.p50Ms } }),
})
