import type { Parameter } from '../optimizer.js'
import { keepLargest } from './choose.js'
import { progressOf, type SparsityPlan } from './plan.js'
import { erase, type Sparsifier } from './sparsifier.js'
import { sharesOf } from './spread.js'

/** What all sparsifiers know. */
export interface Subject {
  /** What the network runs with, one array a weight. */
  readonly fed: readonly Float32Array[]
  /** Their shapes. */
  readonly dims: readonly (readonly number[])[]
  /** Which of them may become sparse. */
  readonly sparse: readonly boolean[]
  readonly steps: number
  /** Peak learning rate of the weights. */
  readonly lr: number
}

/**
 * More and more zeros by the cubic schedule of Zhu and Gupta 2017: those of the smallest weights, or with `movement` of
 * the lowest scores S, where S grows by −lr · w · ∂L/∂w (Sanh et al. 2020, equations 4 to 6: the masked weight's gradient
 * goes straight through to the score). The weights that are moved keep their values under a mask.
 */
export function gradual({ fed, dims, sparse, steps, lr }: Subject, plan: SparsityPlan): Sparsifier {
  const { sparsity = 0, scope = 'layer', returning = false, rate = 0.01 } = plan
  const byMovement = plan.method === 'movement'
  const every = plan.every ?? (byMovement ? 1 : Math.max(1, Math.round(steps / 50)))
  const places = fed.flatMap((_, k) => (sparse[k] ? [k] : []))
  const shapes = places.map((k) => dims[k])
  const weights = fed.map((w, k) => (sparse[k] ? w.slice() : w))
  const scores = byMovement ? places.map((k) => new Float32Array(fed[k].length)) : []
  const masks = places.map((k) => new Uint8Array(fed[k].length).fill(1))
  const byWeight = fed.map((_, k) => (sparse[k] ? masks[places.indexOf(k)] : undefined))
  const choose = (step: number) => {
    const share = sparsity * progressOf(plan, step, steps)
    const worth = byMovement ? scores : places.map((k) => weights[k].map(Math.abs))
    const shares = sharesOf(scope, shapes, share)
    for (const [i, mask] of keepLargest(worth, shares).entries()) masks[i].set(mask)
  }
  return {
    weights,
    learnt: scores.map((value): Parameter => ({ value, decay: 0, rate: rate / lr })),
    state: masks,
    before(step) {
      const due = step % every === 0 || step >= steps
      const open = byMovement || returning || progressOf(plan, step - every, steps) < 1
      if (due && open && progressOf(plan, step, steps) > 0) choose(step)
      for (const k of places) fed[k].set(weights[k])
      erase(fed, byWeight)
    },
    back(gradients) {
      const movements = byMovement ? places.map((k) => weights[k].map((w, i) => w * gradients[k][i])) : []
      if (!returning) erase(gradients, byWeight)
      return movements
    },
  }
}
