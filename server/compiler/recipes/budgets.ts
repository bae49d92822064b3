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
import { p50Of, ramOf } from './measure.js'
import { corrected, type Met, meetMemory } from './meet-memory.js'
import type { Sizes } from './options.js'
import type { Run } from './run.js'
import { expectedStep, measuredStep } from './step.js'

/** Room left below a limit on latency, so that measuring again stays within it. */
const MARGIN = 0.04
/** A candidate that uses this share of its limit on latency is good enough. */
const ENOUGH = 0.85
const ATTEMPTS = 4

/** Which units go, and, where memory is limited, what was measured. */
export type Choice = Allocation & Partial<Met>

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
  #latencyMs?: number
  /** What channel counts are multiples of. */
  #round?: number

  /** @param file where candidates are written while they are measured */
  constructor(run: Run, asked: VariantLimits, file: string) {
    this.#run = run
    this.#limits = absolute(run, asked)
    this.#expect = { artifactOverhead: overheadOf(run), latency: run.latency }
    this.#latencyMs = asked.latencyMs
    this.#round = run.options.round
    this.#artifactBytes = asked.artifactBytes
    this.#file = file
  }

  /**
   * The units to remove: every limit holds, those on memory and latency as measured, but latency as expected where
   * the profile is of another machine. @throws BUDGET_UNREACHABLE
   */
  async choose(variant: string): Promise<Choice> {
    const { latencyMs: limit } = this.#limits
    if (limit === undefined || this.#run.elsewhere !== undefined) return this.#withMemory(variant)
    let best: Choice | undefined
    let least = Number.POSITIVE_INFINITY
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const found = await this.#withMemory(variant)
      const ms = await this.#measuredMs(found, variant)
      least = Math.min(least, ms)
      const holds = ms <= limit * (1 - MARGIN)
      if (holds && (!best || found.saliency > best.saliency)) best = found
      if (holds && (ms >= ENOUGH * limit || found.bound !== 'latency')) break
      this.#latencyMs = (found.costs.latency * limit * (1 - 1.5 * MARGIN)) / ms
    }
    if (best) return best
    throw new BudgetUnreachable('latency', limit, least)
  }

  async #measuredMs(choice: Allocation, variant: string): Promise<number> {
    const { subject, options, on, signal } = this.#run
    on({ stage: 'measure', done: 0, total: 1, message: 'measuring the latency of a candidate', variant })
    return p50Of(pruned(subject, choice.removed), this.#file, options.load?.shapes, signal)
  }

  async #withMemory(variant: string): Promise<Choice> {
    const { subject, options, scores, points, on, signal } = this.#run
    const { memoryBytes: budget, ...others } = this.#now()
    const { depth } = options
    const round = await this.#step(variant)
    if (budget === undefined) {
      const found = allocate(subject.coupling, scores, others, {
        round,
        depth,
        expect: this.#expect,
        orFloor: true,
      })
      return this.#required(found)
    }
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
          { round, depth, expect, orFloor: true },
        )
      },
      measure: (candidate) => {
        const share = Math.round((100 * candidate.footprint.macs) / whole.macs)
        const message = `measuring candidate ${++tried}: ${share} % of the MACs`
        on({ stage: 'measure', done: tried, total: 0, message, variant })
        return ramOf(pruned(subject, candidate.removed), this.#file, budget, options.load?.shapes, signal)
      },
    })
    if (found) return this.#required(found)
    throw new BudgetUnreachable('memory', budget, Math.min(...points.map((p) => p.measured)))
  }

  /**
   * What was chosen for the limits as they are aimed at, which may lie below the least that there is, if it holds those
   * that were asked; what is measured afterwards is judged then. @throws BUDGET_UNREACHABLE
   */
  #required(found: Choice): Choice {
    const latencyMs = this.#run.elsewhere === undefined ? undefined : this.#limits.latencyMs
    requireReachable({ ...this.#limits, memoryBytes: undefined, latencyMs }, found.costs)
    return found
  }

  /** The limits as they are aimed at. */
  #now(): Limits {
    return { ...this.#limits, artifactBytes: this.#artifactBytes, latencyMs: this.#latencyMs }
  }

  /** Where none was said: the step by which the limits are met fastest, by the profile or measured. */
  async #step(variant: string): Promise<number> {
    const { subject, options, scores, points, latency, on, signal } = this.#run
    const limits = this.#now()
    const expect = { ...this.#expect, memory: corrected(points) }
    const choose = (round: number) =>
      allocate(subject.coupling, scores, limits, { round, depth: options.depth, expect, orFloor: true })
    const found = async () => {
      if (latency) return expectedStep(choose, limits.latencyMs !== undefined)
      const message = 'measuring which channel counts run fastest'
      on({ stage: 'measure', done: 0, total: 1, message, variant })
      return measuredStep(subject, choose, options.load?.shapes, signal)
    }
    this.#round ??= (await found()).round
    return this.#round
  }

  /**
   * Whether what was made of a choice holds every limit as measured; if not, the next choice is smaller.
   * @throws BUDGET_UNREACHABLE where there is no smaller one
   */
  hold(choice: Allocation, { measuredRamBytes, fileBytes, p50Ms }: Sizes): boolean {
    const none = Number.POSITIVE_INFINITY
    const { memoryBytes = none, artifactBytes = none } = this.#limits
    const latencyMs = this.#run.elsewhere === undefined ? (this.#limits.latencyMs ?? none) : none
    const isLeast = !(choice.saliency > 0)
    if (isLeast && p50Ms > latencyMs) throw new BudgetUnreachable('latency', latencyMs, p50Ms)
    if (isLeast && fileBytes > artifactBytes)
      throw new BudgetUnreachable('artifact', artifactBytes, fileBytes)
    if (p50Ms > latencyMs) this.#latencyMs = (choice.costs.latency * latencyMs * (1 - 2 * MARGIN)) / p50Ms
    if (measuredRamBytes > memoryBytes) {
      const { predictedRamBytes: predicted } = choice.footprint
      this.#run.points.push({ predicted, measured: measuredRamBytes })
      this.#tooMany = Math.min(this.#tooMany, predicted)
    }
    if (fileBytes > artifactBytes)
      this.#artifactBytes = (this.#artifactBytes ?? artifactBytes) - (fileBytes - artifactBytes)
    return measuredRamBytes <= memoryBytes && fileBytes <= artifactBytes && p50Ms <= latencyMs
  }
}

/** @throws BUDGET_UNREACHABLE if a variant's limits do not hold with one unit in every group, measured in memory */
export function refuseUnreachable(run: Run, floorRamBytes: number): void {
  const least = floor(run.subject.coupling, {
    artifactOverhead: overheadOf(run),
    memory: () => floorRamBytes,
    latency: run.latency,
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
