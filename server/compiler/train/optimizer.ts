/** Changes weights in place, given their gradients. State grows with the weights and can be saved and restored. */
export interface Optimizer {
  /** @param step counts from 1 */
  update(step: number, lr: number, weights: readonly Float32Array[], gradients: readonly Float32Array[]): void
  state: Float32Array[]
}

const like = (weights: readonly Float32Array[]) => weights.map((w) => new Float32Array(w.length))

/** Kingma and Ba 2015, with decoupled weight decay (Loshchilov and Hutter 2019). `decay`: one factor a weight. */
export function adam(
  weights: readonly Float32Array[],
  decay: readonly number[],
  { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8 } = {},
): Optimizer {
  const state = [...like(weights), ...like(weights)]
  return {
    state,
    update(step, lr, weights, gradients) {
      const rate = (lr * Math.sqrt(1 - beta2 ** step)) / (1 - beta1 ** step)
      const tiny = epsilon * Math.sqrt(1 - beta2 ** step)
      for (let k = 0; k < weights.length; k++) {
        const [w, g, m, v] = [weights[k], gradients[k], this.state[k], this.state[weights.length + k]]
        const keep = 1 - lr * decay[k]
        for (let i = 0; i < w.length; i++) {
          const d = g[i]
          const mi = beta1 * m[i] + (1 - beta1) * d
          const vi = beta2 * v[i] + (1 - beta2) * d * d
          m[i] = mi
          v[i] = vi
          w[i] = keep * w[i] - (rate * mi) / (Math.sqrt(vi) + tiny)
        }
      }
    },
  }
}

/** Heavy-ball momentum; weight decay is decoupled as in Adam. */
export function sgd(weights: readonly Float32Array[], decay: readonly number[], momentum: number): Optimizer {
  return {
    state: like(weights),
    update(_, lr, weights, gradients) {
      for (let k = 0; k < weights.length; k++) {
        const [w, g, m] = [weights[k], gradients[k], this.state[k]]
        const keep = 1 - lr * decay[k]
        for (let i = 0; i < w.length; i++) {
          m[i] = momentum * m[i] + g[i]
          w[i] = keep * w[i] - lr * m[i]
        }
      }
    },
  }
}

/** Scales all gradients so that their joint Euclidean norm is at most `most`. @returns the norm before. */
export function clip(gradients: readonly Float32Array[], most: number): number {
  let squares = 0
  for (const g of gradients) for (let i = 0; i < g.length; i++) squares += g[i] * g[i]
  const norm = Math.sqrt(squares)
  if (norm > most) {
    const factor = most / norm
    for (const g of gradients) for (let i = 0; i < g.length; i++) g[i] *= factor
  }
  return norm
}
