import type { Subject } from './gradual.js'
import type { SparsityPlan } from './plan.js'
import type { Sparsifier } from './sparsifier.js'

const sigmoid = (v: number) => 1 / (1 + Math.exp(-v))

/**
 * Soft threshold reparameterisation (Kusupati et al. 2020): the network runs with sign(w) · max(0, |w| − σ(s)), one learnt
 * s a layer. Weight decay on w and s drives the sparsity, which nothing sets directly.
 */
export function softThreshold({ fed, sparse, lr }: Subject, plan: SparsityPlan): Sparsifier {
  const { initial = -10, decay = 0.0005, rate = 0.01 } = plan
  const places = fed.flatMap((_, k) => (sparse[k] ? [k] : []))
  const weights = fed.map((w, k) => (sparse[k] ? w.slice() : w))
  const thresholds = places.map(() => Float32Array.of(initial))
  return {
    weights,
    learnt: thresholds.map((value) => ({ value, decay, rate: rate / lr })),
    state: [],
    before() {
      for (const [i, k] of places.entries()) {
        const least = sigmoid(thresholds[i][0])
        const [w, shown] = [weights[k], fed[k]]
        for (let e = 0; e < w.length; e++) {
          const left = Math.abs(w[e]) - least
          shown[e] = left > 0 ? Math.sign(w[e]) * left : 0
        }
      }
    },
    back(gradients) {
      return places.map((k, i) => {
        const open = sigmoid(thresholds[i][0])
        const [g, shown] = [gradients[k], fed[k]]
        let sum = 0
        for (let e = 0; e < g.length; e++) {
          sum += Math.sign(shown[e]) * g[e]
          if (shown[e] === 0) g[e] = 0
        }
        return Float32Array.of(-open * (1 - open) * sum)
      })
    },
  }
}
