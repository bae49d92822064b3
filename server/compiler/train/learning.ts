import { clip, type Optimizer, optimizerOf, type Parameter } from './optimizer.js'
import { peakOf, type TrainOptions } from './options.js'
import { type Schedule, schedule } from './schedule.js'
import type { Sparsifier } from './sparse/index.js'
import type { Weights } from './weights.js'

/** How a step's gradients change what is learnt. */
export interface Learning {
  readonly optimizer: Optimizer
  readonly rate: Schedule
  /** What the optimiser moves. */
  readonly arrays: readonly Float32Array[]
  /**
   * Takes step number `step`, counted from 0, given gradients of what the network ran with; they are overwritten.
   * @returns whether it was taken: not where loss or gradients are no numbers
   */
  step(step: number, loss: number, gradients: readonly Float32Array[]): boolean
}

export function learningOf(
  weights: Weights,
  sparse: Sparsifier,
  options: TrainOptions,
  steps: number,
): Learning {
  const { optimizer: name = 'adam', schedule: plan = 'cosine' } = options
  const decay = options.weightDecay ?? (name === 'adamw' ? 0.01 : 0)
  const parameters: readonly Parameter[] = [
    ...sparse.weights.map((value, k) => ({
      value,
      decay: weights.dims(weights.names[k]).length > 1 ? decay : 0,
    })),
    ...sparse.learnt,
  ]
  const optimizer = optimizerOf(name, parameters, options)
  const rate = schedule(
    plan,
    steps,
    peakOf(options),
    options.warmup ?? (plan === 'one-cycle' ? 0.3 : 0.05),
    options.milestones,
  )
  const { from = 0 } = options
  const most = options.clip === 0 ? Number.POSITIVE_INFINITY : (options.clip ?? 5)
  return {
    optimizer,
    rate,
    arrays: parameters.map((p) => p.value),
    step(step, loss, gradients) {
      const all = [...gradients, ...sparse.back(gradients)]
      const norm = clip(all, most)
      if (!Number.isFinite(loss) || !Number.isFinite(norm)) return false
      optimizer.update(step + 1 - from, rate(step), all)
      return true
    },
  }
}
