import {
  type Allocation,
  allocate,
  BudgetUnreachable,
  costWithout,
  type Expectations,
  floor,
  type Limits,
  requireReachable,
} from '../budget/index.js'
import type { VariantLimits } from '../limits.js'
import { writeModel } from '../onnx/index.js'
import { pruned } from '../surgery/index.js'
import { ramOf } from './measure.js'
import { meetMemory } from './meet-memory.js'
import type { Sizes } from './options.js'
import { DEFAULTS, type Run } from './run.js'

/** The limits of one variant, and what measuring taught of them. */
export class Budgets {
  readonly #run: Run
  readonly #limits: Limits
  readonly #expect: Expectations
  readonly #file: string
  /** Predicted bytes that were measured above the budget. */
  #tooMany = Number.POSITIVE_INFINITY
  /** What to aim at, so that files hold the limit. */
  #artifactBytes?: number

  /** @param file where candidates are written while they are measured */
  constructor(run: Run, asked: VariantLimits, file: string) {
    this.#run = run
    this.#limits = absolute(run, asked)
    this.#expect = { artifactOverhead: overheadOf(run) }
    this.#artifactBytes = asked.artifactBytes
    this.#file = file
  }

  /** The units to remove: every limit holds, that on memory as measured. @throws BUDGET_UNREACHABLE */
  async choose(variant: string): Promise<Allocation> {
    const { subject, options, scores, points, on, signal } = this.#run
    const { memoryBytes: budget, ...others } = { ...this.#limits, artifactBytes: this.#artifactBytes }
    const round = options.round ?? DEFAULTS.round
    if (budget === undefined)
      return allocate(subject.coupling, scores, others, { round, expect: this.#expect })
    const whole = costWithout(subject.coupling, [])
    let tried = 0
    const found = await meetMemory({
      budget,
      round,
      points,
      tooMany: this.#tooMany,
      choose: (memoryBytes, memory, round) => {
        const expect = { ...this.#expect, memory }
        return allocate(
          subject.coupling,
          scores,
          { ...others, memoryBytes },
          { round, expect, orFloor: true },
        )
      },
      measure: (candidate) => {
        const share = Math.round((100 * candidate.footprint.macs) / whole.macs)
        const message = `measuring candidate ${++tried}: ${share} % of the MACs`
        on({ stage: 'measure', done: tried, total: 0, message, variant })
        return ramOf(pruned(subject, candidate.removed), this.#file, budget, options.load?.shapes, signal)
      },
    })
    if (found) return found
    throw new BudgetUnreachable('memory', budget, Math.min(...points.map((p) => p.measured)))
  }

  /** Whether what was made of a choice holds every limit as measured; if not, the next choice is smaller. */
  hold(choice: Allocation, { measuredRamBytes, fileBytes }: Sizes): boolean {
    const { memoryBytes = Number.POSITIVE_INFINITY, artifactBytes = Number.POSITIVE_INFINITY } = this.#limits
    if (measuredRamBytes > memoryBytes) {
      const { predictedRamBytes: predicted } = choice.footprint
      this.#run.points.push({ predicted, measured: measuredRamBytes })
      this.#tooMany = Math.min(this.#tooMany, predicted)
    }
    if (fileBytes > artifactBytes)
      this.#artifactBytes = (this.#artifactBytes ?? artifactBytes) - (fileBytes - artifactBytes)
    return measuredRamBytes <= memoryBytes && fileBytes <= artifactBytes
  }
}

/** @throws BUDGET_UNREACHABLE if a variant's limits do not hold with one unit in every group, measured in memory */
export function refuseUnreachable(run: Run, floorRamBytes: number): void {
  const least = floor(run.subject.coupling, {
    artifactOverhead: overheadOf(run),
    memory: () => floorRamBytes,
  })
  for (const asked of run.options.variants) requireReachable(absolute(run, asked), least.costs)
}

function absolute(run: Run, { macs, params, ...limits }: VariantLimits): Limits {
  const footprint = costWithout(run.subject.coupling, [])
  return {
    ...limits,
    macs: macs === undefined ? undefined : macs * footprint.macs,
    params: params === undefined ? undefined : params * footprint.params,
  }
}

/** Bytes of the dense file beside its weights. */
const overheadOf = ({ dense, subject }: Run): number =>
  writeModel(dense).length - costWithout(subject.coupling, []).weightBytes
