import { asEspalierError, EspalierError } from '@espalier/shared'
import type { CatalogueVariant } from '@espalier/shared/messages/index.js'
import type { Benchmark } from './measure/benchmark.js'
import type { Probation } from './probation.js'
import { type Failure, type Limits, verdict } from './select.js'
import type { Held, Status } from './status.js'
import type { Artifacts } from './store/artifacts.js'
import { diskError } from './store/errors.js'

/** A variant, and the model version that it was chosen for. */
export interface Candidate {
  readonly variant: CatalogueVariant
  readonly held: Held
}

export interface ActivationOptions {
  readonly artifacts: Artifacts
  readonly probation: Probation
  readonly status: Status
  /** Measures a variant where applications find it, briefly. */
  readonly probe: (path: string, variant: CatalogueVariant, signal: AbortSignal) => Promise<Benchmark>
  /** The variant that applications find at `current` may have changed; null for none. */
  readonly onCurrent?: (digest: string | null) => void
}

/** What became of a proof; `null` for one that was interrupted and is made after the next start. */
export type Proof = { readonly proved: true } | { readonly proved: false; readonly failure: Failure } | null

/**
 * What `current` names, and that it deserves to: a variant is swapped in on probation, proves itself where applications
 * find it, and gives way to the one before it if it does not.
 */
export class Activation {
  readonly #options: ActivationOptions

  constructor(options: ActivationOptions) {
    this.#options = options
  }

  get active(): string | null {
    return this.#options.artifacts.linked('current')
  }

  /** The active variant, if it has yet to prove itself. */
  get unproven(): string | null {
    const { digest } = this.#options.probation
    return digest === this.active ? digest : null
  }

  /**
   * Once, at the start: hashes what the links name; what is damaged goes, the active one in favour of the previous. The
   * failure, with its digest, of an unproven one that gave way because the agent has started on it too often; or null.
   */
  async heal(): Promise<(Failure & { readonly digest: string }) | null> {
    const { artifacts, probation, onCurrent } = this.#options
    for (const link of ['previous', 'current'] as const) {
      const digest = artifacts.linked(link)
      if (digest !== null && !(await artifacts.isWhole(digest))) this.#remove(digest)
    }
    const digest = this.unproven
    const isHopeless = digest !== null && !probation.mayGoOn()
    const failure = {
      code: 'DEADLINE_PASSED',
      message: 'the device started again and again before this variant had proved itself',
    } as const
    if (isHopeless) this.#giveUp(failure)
    onCurrent?.(this.active)
    return isHopeless ? { digest, ...failure } : null
  }

  /** Gives up an installed variant whose bytes are not what its digest says. */
  discard(digest: string): void {
    this.#remove(digest)
    this.#options.onCurrent?.(this.active)
  }

  /** How what is active is run best may have changed. */
  announce(): void {
    this.#options.onCurrent?.(this.active)
  }

  /** Swaps to a variant, on probation. What was there stays as `previous` if it had proved itself. */
  activate({ variant, held }: Candidate): void {
    const { artifacts, status, probation, onCurrent } = this.#options
    status.to('armed', held)
    if (this.unproven !== null) artifacts.fallBack()
    probation.begin(variant.digest)
    artifacts.activate(variant.digest)
    onCurrent?.(variant.digest)
  }

  /** The active variant must answer rightly and keep the limits; otherwise what was before it comes back. */
  async prove({ variant, held }: Candidate, limits: Limits, signal: AbortSignal): Promise<Proof> {
    const { artifacts, status, probation, probe, onCurrent } = this.#options
    if (status.state !== 'armed') status.to('armed', held)
    status.to('probation', held)
    try {
      const path = artifacts.modelPath(variant.digest)
      const measured = await status.within(signal, (s) => probe(path, variant, s))
      const failure = verdict(measured, limits)
      if (failure) throw new EspalierError(failure.code, failure.message)
      probation.end()
      status.to('active', null)
      return { proved: true }
    } catch (e) {
      if (signal.aborted) return null
      const { code, message } = asEspalierError(diskError(e, artifacts.root))
      this.#giveUp({ code, message })
      status.to('rolled-back')
      onCurrent?.(this.active)
      return { proved: false, failure: { code, message } }
    }
  }

  #giveUp(failure: Failure): void {
    const { artifacts, probation, status } = this.#options
    artifacts.fallBack()
    probation.end()
    status.note('candidate', failure)
  }

  #remove(digest: string): void {
    const { artifacts, status } = this.#options
    status.note('artifact', {
      code: 'ARTIFACT_DAMAGED',
      message: `variant ${digest.slice(0, 12)} on this disk does not match its digest any more and is fetched again`,
    })
    if (this.active === digest) artifacts.fallBack()
    artifacts.remove(digest)
  }
}
