import type { Coupling, Slice, Unit } from '../analysis/index.js'
import { layerAxes } from '../analysis/index.js'
import { stridesOf } from '../graph/index.js'
import type { Samples } from '../train/index.js'
import { endsOf } from './blocks.js'
import { normalised } from './normalised.js'
import { readingSlices } from './taylor.js'
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
  const { graph, groups } = coupling
  const scores = await weightScores('obd', graph, data, options)
  const reading = layerAxes(graph)
  const sums = new Map([...scores].map(([name, s]) => [name, byIndex(s, graph.constant(name)?.dims ?? [])]))
  const worth = (slices: readonly Slice[]) =>
    slices.reduce(
      (sum, { tensor, axis, indices }) =>
        indices.reduce((n, i) => n + (sums.get(tensor)?.[axis]?.[i] ?? 0), sum),
      0,
    )
  return [
    ...groups.map(({ units }) => Float64Array.from(units, (u: Unit) => worth(readingSlices(u, reading)))),
    normalised(
      Float64Array.from(endsOf(coupling), (parts) =>
        parts.flat().reduce((sum, { tensor }) => sum + total(scores.get(tensor)), 0),
      ),
    ),
  ]
}

const total = (values?: Float32Array) => values?.reduce((a, b) => a + b, 0) ?? 0

/** For each dimension, the sum over everything at each of its indices. */
function byIndex(values: Float32Array, dims: readonly number[]): Float64Array[] {
  const strides = stridesOf(dims)
  return dims.map((size, d) => {
    const sums = new Float64Array(size)
    for (let i = 0; i < values.length; i++) sums[Math.floor(i / strides[d]) % size] += values[i]
    return sums
  })
}
