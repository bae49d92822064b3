import type { Parameter } from '../optimizer.js'

/** What stands between the weights that are learnt and those that the network runs with. */
export interface Sparsifier {
  /** The weights that the optimiser moves, one a weight of the network; the very arrays that it runs with may be among them. */
  readonly weights: readonly Float32Array[]
  /** What is learnt beside them. */
  readonly learnt: readonly Parameter[]
  /** What a checkpoint must hold beside `weights` and `learnt`. */
  readonly state: readonly Uint8Array[]
  /** Writes what the network runs with at step `step`, counted from 0; once more after the last step. */
  before(step: number): void
  /** Makes gradients of what the network ran with into those of `weights`, in place. @returns those of `learnt` */
  back(gradients: readonly Float32Array[]): readonly Float32Array[]
}

/** The network runs with the weights that are learnt. */
export const plain = (weights: readonly Float32Array[]): Sparsifier => ({
  weights,
  learnt: [],
  state: [],
  before() {},
  back: () => [],
})

/** Elements at which a mask is 0 are and stay exactly zero; undefined leaves a weight alone. */
export function masked(
  weights: readonly Float32Array[],
  masks: readonly (Uint8Array | undefined)[],
): Sparsifier {
  return {
    weights,
    learnt: [],
    state: [],
    before: () => erase(weights, masks),
    back(gradients) {
      erase(gradients, masks)
      return []
    },
  }
}

export function erase(arrays: readonly Float32Array[], masks: readonly (Uint8Array | undefined)[]): void {
  for (const [k, mask] of masks.entries()) {
    if (!mask) continue
    const array = arrays[k]
    for (let i = 0; i < array.length; i++) if (mask[i] === 0) array[i] = 0
  }
}

/** 1 where an array is not exactly zero. */
export const nonZeros = (array: Float32Array): Uint8Array => Uint8Array.from(array, (v) => (v === 0 ? 0 : 1))
