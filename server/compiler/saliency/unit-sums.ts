import { type Coupling, layerAxes, type Slice } from '../analysis/index.js'
import { stridesOf } from '../graph/index.js'
import { endsOf } from './blocks.js'
import { readingSlices } from './taylor.js'
import type { WeightScores } from './weights.js'

/**
 * Scores of weights added up: of a unit over the weights that read it, of a block over those of its last layer.
 * @returns one array a group and one for the blocks
 */
export function unitSums(coupling: Coupling, scores: WeightScores): Float64Array[] {
  const { graph, groups } = coupling
  const reading = layerAxes(graph)
  const sums = new Map([...scores].map(([name, s]) => [name, byIndex(s, graph.constant(name)?.dims ?? [])]))
  const worth = (slices: readonly Slice[]) =>
    slices.reduce(
      (sum, { tensor, axis, indices }) =>
        indices.reduce((n, i) => n + (sums.get(tensor)?.[axis]?.[i] ?? 0), sum),
      0,
    )
  return [
    ...groups.map(({ units }) => Float64Array.from(units, (u) => worth(readingSlices(u, reading)))),
    Float64Array.from(endsOf(coupling), (parts) =>
      parts.flat().reduce((sum, { tensor }) => sum + total(scores.get(tensor)), 0),
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
