import type { Coupling } from '../analysis/index.js'
import { movements, type Samples } from '../train/index.js'
import { unitSums } from './unit-sums.js'

export interface MovementOptions {
  /** Steps of training that are looked at; 200 by default, over as many passes as it takes. */
  readonly steps?: number
  readonly seed?: number
}

/**
 * Movement by units (Sanh et al. 2020, "Movement Pruning: Adaptive Sparsity by Fine-Tuning"; by structures Lagunas et al.
 * 2021, "Block Pruning For Faster Transformers"): −Σ w · ∂L/∂w over the steps of a short training, summed over the weights
 * that read a unit. What training moves towards zero is worth least, below what does not move. The network that is pruned
 * keeps its weights.
 * @returns as a Criterion does: one array a group and one for the blocks, none below zero, their means one
 * @throws DATA_UNLABELLED, and what training throws
 */
export async function movement(
  coupling: Coupling,
  data: Samples,
  { steps = 200, seed = 0 }: MovementOptions = {},
): Promise<Float64Array[]> {
  const sums = await movements(coupling.graph, data, { steps, seed })
  return unitSums(coupling, sums).map(fromZero)
}

/** Scores may be negative: the least becomes zero, and the order stays. */
function fromZero(scores: Float64Array): Float64Array {
  const least = scores.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY)
  const raised = scores.map((v) => v - least)
  const mean = raised.reduce((a, b) => a + b, 0) / raised.length
  return mean > 0 ? raised.map((v) => v / mean) : raised.fill(1)
}
