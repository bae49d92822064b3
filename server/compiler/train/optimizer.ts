import type { OptimizerName } from '../names.js'

/** Something that is learnt, in place. */
export interface Parameter {
  readonly value: Float32Array
  readonly decay: number
  /** What the learning rate is multiplied by; 1 by default. */
  readonly rate?: number
}

/** Changes parameters in place, given their gradients. State grows with them and can be saved and restored. */
export interface Optimizer {
  /** @param step counts from 1 */
  update(step: number, lr: number, gradients: readonly Float32Array[]): void
  readonly state: readonly Float32Array[]
}

export interface OptimizerOptions {
  readonly momentum?: number
  readonly nesterov?: boolean
}

export function optimizerOf(
  name: OptimizerName,
  parameters: readonly Parameter[],
  { momentum = 0.9, nesterov = false }: OptimizerOptions,
): Optimizer {
  if (name === 'sgd') return sgd(parameters, momentum, nesterov)
  return adam(parameters, name === 'adamw')
}

const zerosLike = (parameters: readonly Parameter[]) =>
  parameters.map(({ value }) => new Float32Array(value.length))

/**
 * Kingma and Ba 2015, with weight decay added to the gradients, or decoupled from them (Loshchilov and Hutter 2019,
 * "Decoupled Weight Decay Regularization": AdamW).
 */
export function adam(
  parameters: readonly Parameter[],
  decoupled: boolean,
  { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8 } = {},
): Optimizer {
  const [first, second] = [zerosLike(parameters), zerosLike(parameters)]
  return {
    state: [...first, ...second],
    update(step, lr, gradients) {
      for (const [k, { value: w, decay, rate = 1 }] of parameters.entries()) {
        const [g, m, v] = [gradients[k], first[k], second[k]]
        const size = (rate * lr * Math.sqrt(1 - beta2 ** step)) / (1 - beta1 ** step)
        const tiny = epsilon * Math.sqrt(1 - beta2 ** step)
        const keep = decoupled ? 1 - rate * lr * decay : 1
        const pull = decoupled ? 0 : decay
        for (let i = 0; i < w.length; i++) {
          const d = g[i] + pull * w[i]
          const mi = beta1 * m[i] + (1 - beta1) * d
          const vi = beta2 * v[i] + (1 - beta2) * d * d
          m[i] = mi
          v[i] = vi
          w[i] = keep * w[i] - (size * mi) / (Math.sqrt(vi) + tiny)
        }
      }
    },
  }
}

/**
 * Momentum v ← μ·v + g and step w ← w − lr·v; with `nesterov` w ← w − lr·(g + μ·v), the form of Sutskever et al. 2013
 * ("On the importance of initialization and momentum in deep learning") for weights at the point looked ahead to.
 */
export function sgd(parameters: readonly Parameter[], momentum: number, nesterov: boolean): Optimizer {
  const velocities = zerosLike(parameters)
  return {
    state: velocities,
    update(_, lr, gradients) {
      for (const [k, { value: w, decay, rate = 1 }] of parameters.entries()) {
        const [g, v] = [gradients[k], velocities[k]]
        const size = rate * lr
        for (let i = 0; i < w.length; i++) {
          const d = g[i] + decay * w[i]
          const vi = momentum * v[i] + d
          v[i] = vi
          w[i] -= size * (nesterov ? d + momentum * vi : vi)
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
