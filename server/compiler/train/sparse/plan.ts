import { EspalierError } from '@espalier/shared'
import type { Scope } from './spread.js'

export const sparsifyingMethods = ['magnitude', 'movement', 'soft-movement', 'str'] as const

/** How weights become zero while a network is trained. Only weights of convolutions and matrix products do. */
export interface SparsityPlan {
  /**
   * `magnitude`: the smallest go, by the cubic schedule of Zhu and Gupta 2017, "To prune, or not to prune".
   * `movement`: those go that training moves towards zero; `soft-movement`: those whose score is below a threshold, which
   * rises by the same schedule beside a penalty on the scores (Sanh et al. 2020, "Movement Pruning: Adaptive Sparsity by
   * Fine-Tuning"). `str`: a threshold a layer is learnt (Kusupati et al. 2020, "Soft Threshold Weight Reparameterization
   * for Learnable Sparsity").
   */
  readonly method: (typeof sparsifyingMethods)[number]
  /** The share of the weights that is zero at the end; `magnitude` and `movement` only. */
  readonly sparsity?: number
  /** Where zeros go; `layer` by default. */
  readonly scope?: Scope
  /** Shares of all steps between which the zeros become more; 0.1 and 0.7 by default. */
  readonly begin?: number
  readonly end?: number
  /** Steps between two choices of zeros; a fiftieth of the steps for `magnitude`, 1 otherwise by default. */
  readonly every?: number
  /**
   * `magnitude`: zeros are moved by their gradients too, and come back where they grow (Guo et al. 2016, "Dynamic Network
   * Surgery for Efficient DNNs"); false by default.
   */
  readonly returning?: boolean
  /** Learning rate of scores and thresholds, on the schedule of the weights; 0.01 by default. */
  readonly rate?: number
  /** `soft-movement`: what the mean of σ(score) is weighed by in the loss at the end; 10 by default. */
  readonly penalty?: number
  /** `soft-movement`: the σ(score) below which weights are zero at the end; 0.1 by default. */
  readonly threshold?: number
  /** `str`: where thresholds begin, before the sigmoid, and their weight decay; −10 and 0.0005 by default. */
  readonly initial?: number
  readonly decay?: number
}

/** @throws OPTION_INVALID */
export function requirePlan({ method, sparsity, begin = 0.1, end = 0.7, every = 1 }: SparsityPlan): void {
  const share = (v: number) => v >= 0 && v <= 1
  const toTarget = method === 'magnitude' || method === 'movement'
  const wrong =
    toTarget && !(sparsity !== undefined && sparsity > 0 && sparsity < 1)
      ? `a sparsity of ${sparsity} is none; give a share above 0 and below 1`
      : !share(begin) || !share(end) || begin > end
        ? `zeros cannot become more from ${begin} to ${end} of the steps; give two rising shares`
        : !(Number.isSafeInteger(every) && every > 0)
          ? `${every} is no number of steps between two choices of zeros`
          : undefined
  if (wrong) throw new EspalierError('OPTION_INVALID', wrong)
}

/** How far the cubic schedule is: 0 before `begin`, 1 from `end` on (Zhu and Gupta 2017, equation 1). */
export function progressOf({ begin = 0.1, end = 0.7 }: SparsityPlan, step: number, steps: number): number {
  const [from, to] = [begin * steps, end * steps]
  if (step < from) return 0
  if (step >= to) return 1
  return 1 - (1 - (step - from) / (to - from)) ** 3
}
