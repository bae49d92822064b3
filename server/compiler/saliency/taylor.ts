import { EspalierError } from '@espalier/shared'
import { type Coupling, type LayerAxes, layerAxes, type Slice, type Unit } from '../analysis/index.js'
import { stridesOf, type Tensor } from '../graph/index.js'
import { gradientBatches, type Samples } from '../train/index.js'
import { added, type Ends, endsOf, sumsAlong } from './blocks.js'

import { normalised } from './normalised.js'

export interface TaylorOptions {
  /** Labelled samples that the loss is taken over; 1024 by default, or as many as there are. */
  readonly samples?: number
  /** Samples a gradient; 32 by default. */
  readonly batch?: number
  /**
   * Squares what a batch says instead of taking its absolute value, and leaves the scale: then a group's mean says what
   * it is worth against others, as the paper compares them.
   */
  readonly across?: boolean
}

/**
 * First-order Taylor expansion of the loss (Molchanov et al. 2019, "Importance Estimation for Neural Network
 * Pruning"): a unit is worth |Σ a · ∂L/∂a|, what scaling its activation would change the loss by. The sum is taken
 * where the activation enters the layers that mix it, after normalisation and nonlinearity, and there it equals
 * Σ w · ∂L/∂w over the weights that read the unit, the form computed here (their equation for a group of
 * parameters). The absolute value is taken of each batch and averaged over batches. BatchNormalization uses the
 * file's statistics. A block is worth what the outputs of its branch are, each taken by itself: for the weights w that
 * make one output of its last layer, Σ w · ∂L/∂w is Σ b · ∂L/∂b over that output.
 * @returns as a Criterion does: one array a group and one for the blocks, their means one (but see `across`)
 * @throws DATA_UNLABELLED, and what training throws for networks that cannot be differentiated
 */
export async function taylor(
  coupling: Coupling,
  data: Samples,
  { samples = 1024, batch = 32, across = false }: TaylorOptions = {},
): Promise<Float64Array[]> {
  if (!data.labels)
    throw new EspalierError(
      'DATA_UNLABELLED',
      'criterion taylor needs the loss, and so labels: give labelled --data, or use another --criterion',
    )
  const { graph, groups } = coupling
  const reading = layerAxes(graph)
  const wanted = groups.map((g) => g.units.map((u) => readingSlices(u, reading)))
  const scores = groups.map((g) => new Float64Array(g.units.length))
  const ends = endsOf(coupling)
  const blocks = new Float64Array(ends.length)
  const tensors = new Set(wanted.flat(2).map((s) => s.tensor))
  const trained = new Set<string>()
  const said = across ? (change: number) => change ** 2 : Math.abs
  for await (const gradients of gradientBatches(graph, data, { samples, batch })) {
    for (const name of gradients.keys()) trained.add(name)
    const products = new Map<string, Float64Array[]>()
    for (const name of tensors) {
      const gradient = gradients.get(name)
      const weight = graph.constant(name)
      if (gradient && weight) products.set(name, productsByIndex(weight, gradient))
    }
    const change = (s: Slice) => {
      const sums = products.get(s.tensor)?.[s.axis]
      return sums ? s.indices.reduce((sum, i) => sum + sums[i], 0) : 0
    }
    for (const [g, units] of wanted.entries())
      for (const [u, slices] of units.entries())
        scores[g][u] += said(slices.reduce((sum, s) => sum + change(s), 0))
    const along = ({ tensor, axis }: Ends[number][number]) => {
      const [weight, gradient] = [graph.constant(tensor), gradients.get(tensor)]
      return weight && gradient ? [sumsAlong(weight, axis, (w, i) => w * gradient[i])] : []
    }
    for (const [b, parts] of ends.entries())
      for (const part of parts)
        blocks[b] += added(part.flatMap(along)).reduce((sum, change) => sum + Math.abs(change), 0)
  }
  const isKnown = ends.map((parts) => parts.flat().some(({ tensor }) => trained.has(tensor)))
  return [...(across ? scores : scores.map(normalised)), normalisedWhere(blocks, isKnown)]
}

/** Those that no gradient reaches are worth as much as the others on average. */
function normalisedWhere(scores: Float64Array, isKnown: readonly boolean[]): Float64Array {
  const known = normalised(scores.filter((_, i) => isKnown[i]))
  let next = 0
  return scores.map((_, i) => (isKnown[i] ? known[next++] : 1))
}

/** Where the unit is read by layers that mix it; all its slices if none does. */
export function readingSlices({ slices }: Unit, reading: ReadonlyMap<string, LayerAxes>): readonly Slice[] {
  const read = slices.filter((s) => reading.get(s.tensor)?.reads === s.axis)
  return read.length > 0 ? read : slices
}

/** For each dimension, Σ w · ∂L/∂w over everything at each of its indices. */
function productsByIndex({ dims, data }: Tensor, gradient: Float32Array): Float64Array[] {
  const weights = data as Float32Array
  const strides = stridesOf(dims)
  return dims.map((size, d) => {
    const sums = new Float64Array(size)
    for (let i = 0; i < weights.length; i++)
      sums[Math.floor(i / strides[d]) % size] += weights[i] * gradient[i]
    return sums
  })
}
