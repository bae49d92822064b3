import { type ErrorCode, EspalierError } from '@espalier/shared'
import type { CatalogueVariant } from '@espalier/shared/messages/index.js'
import type { Activation, Candidate } from './activation.js'
import type { Chooser } from './chooser.js'
import type { Fetcher } from './fetch/fetcher.js'
import type { Benchmark } from './measure/benchmark.js'
import type { Incumbent } from './measure/incumbent.js'
import { knownOf } from './report.js'
import type { Resting } from './resting.js'
import type { Status } from './status.js'
import type { Artifacts, Manifest } from './store/artifacts.js'
import { diskError } from './store/errors.js'
import type { Outcomes } from './store/outcomes.js'

export interface TrialsOptions {
  readonly artifacts: Artifacts
  readonly outcomes: Outcomes
  readonly activation: Activation
  readonly fetcher: Fetcher
  readonly status: Status
  readonly chooser: Chooser
  readonly resting: Resting
  /** Aborted when the agent ends. */
  readonly stopped: AbortSignal
  readonly measure: (
    candidate: CatalogueVariant,
    against: { readonly incumbent?: Incumbent; readonly memoryBytes: number },
    signal: AbortSignal,
  ) => Promise<Benchmark>
  readonly onMeasured: (candidate: Candidate, measured: Benchmark) => void
}

/** Failures that say something of the variant itself: another try would end the same. */
const lasting: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'DIMENSION_UNKNOWN',
  'LATENCY_OVER_LIMIT',
  'MEMORY_OVER_BUDGET',
  'MODEL_UNRUNNABLE',
  'MODEL_UNSUPPORTED',
  'OUTPUT_WRONG',
])

export const isLasting = (code: ErrorCode): boolean => lasting.has(code)

/** Fetches and measures variants, one at a time; what came out is known to the chooser, or rests, after that. */
export class Trials {
  readonly #options: TrialsOptions
  #work: { digest: string; abort: AbortController } | null = null

  constructor(options: TrialsOptions) {
    this.#options = options
  }

  /** Ends what is under way if it is not about the variant that is wanted by now. */
  keepOnly(wanted: () => string | null): void {
    if (!this.#work || wanted() === this.#work.digest) return
    this.#work.abort.abort(new EspalierError('INTERRUPTED', 'another variant is wanted by now'))
  }

  /** Fetches a variant if it is not here, and measures it if it was not. */
  async attempt(candidate: Candidate): Promise<void> {
    const { status, chooser, resting } = this.#options
    const { digest } = candidate.variant
    try {
      await this.#working(digest, async (signal) => {
        await this.#obtain(candidate, signal)
        if (chooser.isOpen(digest)) await this.#measure(candidate, signal)
      })
      resting.recovered(digest)
      if (resting.size === 0) status.clear('candidate')
    } catch (e) {
      this.#failed(candidate, e)
    }
  }

  /** Measures the active variant again: what the chooser makes of it. */
  async measureAgain(candidate: Candidate): Promise<ReturnType<Chooser['measuredAgain']>> {
    const { status, chooser, artifacts } = this.#options
    const { digest } = candidate.variant
    let found = 'as before' as ReturnType<Chooser['measuredAgain']>
    try {
      await this.#working(digest, async (signal) => {
        found = chooser.measuredAgain(digest, await this.#benchmark(candidate, signal))
      })
    } catch (e) {
      if (!isInterruption(e)) status.fail('candidate', diskError(e, artifacts.root))
    }
    status.to('active', null)
    return found
  }

  /** Work on a variant that `keepOnly` may interrupt. */
  async #working(digest: string, work: (signal: AbortSignal) => Promise<unknown>): Promise<void> {
    const abort = new AbortController()
    this.#work = { digest, abort }
    try {
      await work(AbortSignal.any([this.#options.stopped, abort.signal]))
    } finally {
      this.#work = null
    }
  }

  async #obtain({ variant, held }: Candidate, signal: AbortSignal): Promise<void> {
    const { artifacts, status, fetcher, activation } = this.#options
    if (artifacts.has(variant.digest)) {
      status.to('verified', held)
      if (await artifacts.isWhole(variant.digest)) return
      activation.discard(variant.digest)
    }
    status.to('fetching', held)
    const isAway = () => !fetcher.isServed
    await status.within(signal, (s) => fetcher.fetch(variant, s), isAway)
    status.to('verified')
    artifacts.install(manifestOf({ variant, held }))
    status.clear('artifact')
  }

  /** Measures a variant that is here, and remembers what came out. */
  async #measure(candidate: Candidate, signal: AbortSignal): Promise<void> {
    const { status, activation, chooser } = this.#options
    const { variant } = candidate
    const failure = chooser.measured(variant.digest, await this.#benchmark(candidate, signal))
    if (variant.digest === activation.active) activation.announce()
    if (!failure) return
    status.note('choice', { code: failure.code, message: `${variant.name}: ${failure.message}` })
    status.to('rejected')
  }

  async #benchmark(candidate: Candidate, signal: AbortSignal): Promise<Benchmark> {
    const { status, chooser, measure, onMeasured } = this.#options
    const { variant, held } = candidate
    status.to('benchmarking', held)
    const against = { incumbent: this.#incumbent(variant.digest), ...chooser.limits() }
    const measured = await status.within(signal, (s) => measure(variant, against, s))
    onMeasured(candidate, measured)
    return measured
  }

  /** What another variant is measured against: the active one, once it has proved itself. */
  #incumbent(candidate: string): Incumbent | undefined {
    const { artifacts, activation, outcomes } = this.#options
    const { active, unproven } = activation
    const manifest = active === null || active === unproven ? null : artifacts.manifest(active)
    if (active === candidate || active === null || !manifest) return undefined
    const outcome = outcomes.known.get(active)
    const memoryBytes = outcome && 'measuredRamBytes' in outcome ? outcome.measuredRamBytes : null
    return {
      digest: active,
      path: artifacts.modelPath(active),
      setup: outcomes.setupOf(active) ?? {},
      memoryBytes,
      shapes: knownOf(manifest).shapes,
    }
  }

  /** A try that failed rests for a while, so that the next best has its turn; what was interrupted does not. */
  #failed({ variant: { digest } }: Candidate, thrown: unknown): void {
    const { status, outcomes, artifacts, activation, resting, stopped } = this.#options
    if (isInterruption(thrown)) {
      if (!stopped.aborted) status.to(activation.active ? 'active' : 'idle', null)
      return
    }
    const { code, message } = status.fail('candidate', diskError(thrown, artifacts.root))
    status.to('failed')
    if (isLasting(code)) {
      outcomes.set(digest, { failure: { code, message } })
      return
    }
    resting.failed(digest)
  }
}

const isInterruption = (thrown: unknown) => thrown instanceof EspalierError && thrown.code === 'INTERRUPTED'

function manifestOf({ variant, held }: Candidate): Manifest {
  const { digest, name, bytes, inputs, outputs, preprocess, labels } = variant
  const { model, version } = held
  return { digest, model, version, variant: name, bytes, inputs, outputs, preprocess, labels }
}
