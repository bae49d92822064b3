import type { Coupling } from '../analysis/index.js'
import type { Samples } from '../train/index.js'
import { normalised } from './normalised.js'
import { unitSums } from './unit-sums.js'
import { type WeightScoreOptions, weightScores } from './weights.js'

/**
 * Optimal Brain Damage by units: what removing a unit raises the loss by, Σ w² / 2 · ∂²L/∂w² over the weights that read it
 * (LeCun, Denker and Solla 1990, whose saliencies add up since they take the Hessian for diagonal). A block is worth the
 * sum over its last layer's weights.
 * @returns one array a group, comparable between groups, and one for the blocks, their mean one
 * @throws DATA_UNLABELLED, GRADIENT_UNKNOWN
 */
export async function obd(
  coupling: Coupling,
  data: Samples,
  options: WeightScoreOptions = {},
): Promise<Float64Array[]> {
  const sums = unitSums(coupling, await weightScores('obd', coupling.graph, data, options))
  return sums.map((s, g) => (g < coupling.groups.length ? s : normalised(s)))
}
