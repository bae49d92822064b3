import type { Subject } from './gradual.js'
import { progressOf, type SparsityPlan } from './plan.js'
import { erase, type Sparsifier } from './sparsifier.js'

const sigmoid = (v: number) => 1 / (1 + Math.exp(-v))

/**
 * Soft movement pruning (Sanh et al. 2020, section 4): a weight is zero where σ(score) is not above a threshold; scores
 * move as in movement pruning, and λ · mean σ(score) pulls them down. Threshold and λ rise by the cubic schedule, so that
 * how sparse the network becomes follows from both and from the task.
 */
export function softMovement({ fed, sparse, steps, lr }: Subject, plan: SparsityPlan): Sparsifier {
  const { rate = 0.01, penalty = 10, threshold = 0.1 } = plan
  const places = fed.flatMap((_, k) => (sparse[k] ? [k] : []))
  const weights = fed.map((w, k) => (sparse[k] ? w.slice() : w))
  const scores = places.map((k) => new Float32Array(fed[k].length))
  const masks = places.map((k) => new Uint8Array(fed[k].length).fill(1))
  const byWeight = fed.map((_, k) => (sparse[k] ? masks[places.indexOf(k)] : undefined))
  const count = scores.reduce((n, s) => n + s.length, 0)
  let progress = 0
  return {
    weights,
    learnt: scores.map((value) => ({ value, decay: 0, rate: rate / lr })),
    state: [],
    before(step) {
      progress = progressOf(plan, step, steps)
      const least = Math.log((threshold * progress) / (1 - threshold * progress))
      for (const [i, s] of scores.entries()) {
        for (let e = 0; e < s.length; e++) masks[i][e] = s[e] > least ? 1 : 0
        fed[places[i]].set(weights[places[i]])
      }
      erase(fed, byWeight)
    },
    back(gradients) {
      const pull = (penalty * progress) / count
      const movements = places.map((k, i) =>
        weights[k].map((w, e) => {
          const open = sigmoid(scores[i][e])
          return w * gradients[k][e] + pull * open * (1 - open)
        }),
      )
      erase(gradients, byWeight)
      return movements
    },
  }
}
