import { EspalierError } from '@espalier/shared'
import type { Coupling, Slice, Unit } from '../analysis/index.js'
import { type Graph, intAttribute, stridesOf, type Tensor } from '../graph/index.js'
import { gradientBatches, type Samples } from '../train/index.js'
import { normalised } from './criterion.js'

export interface TaylorOptions {
  /** Labelled samples that the loss is taken over; 1024 by default, or as many as there are. */
  readonly samples?: number
  /** Samples a gradient; 32 by default. */
  readonly batch?: number
}

/**
 * First-order Taylor expansion of the loss (Molchanov et al. 2019, "Importance Estimation for Neural Network
 * Pruning"): a unit is worth |Σ a · ∂L/∂a|, what scaling its activation would change the loss by. The sum is taken
 * where the activation enters the layers that mix it, after normalisation and nonlinearity, and there it equals
 * Σ w · ∂L/∂w over the weights that read the unit, the form computed here (their equation for a group of
 * parameters). The absolute value is taken of each batch and averaged over batches. BatchNormalization uses the
 * file's statistics.
 * @returns as a Criterion does: one array a group, its mean one
 * @throws DATA_UNLABELLED, and what training throws for networks that cannot be differentiated
 */
export async function taylor(
  coupling: Coupling,
  data: Samples,
  { samples = 1024, batch = 32 }: TaylorOptions = {},
): Promise<Float64Array[]> {
  if (!data.labels)
    throw new EspalierError(
      'DATA_UNLABELLED',
      'criterion taylor needs the loss, and so labels: give labelled --data, or use another --criterion',
    )
  const { graph, groups } = coupling
  const reading = readingAxes(graph)
  const wanted = groups.map((g) => g.units.map((u) => readingSlices(u, reading)))
  const scores = groups.map((g) => new Float64Array(g.units.length))
  const tensors = new Set(wanted.flat(2).map((s) => s.tensor))
  for await (const gradients of gradientBatches(graph, data, { samples, batch })) {
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
        scores[g][u] += Math.abs(slices.reduce((sum, s) => sum + change(s), 0))
  }
  return scores.map(normalised)
}

/** For each weight of a mixing layer, the axis along which it reads its input. */
function readingAxes(graph: Graph): Map<string, number> {
  const axes = new Map<string, number>()
  for (const n of graph.nodes) {
    const [first, second] = n.inputs
    if (n.op === 'Conv') axes.set(second, 1)
    if (n.op === 'ConvTranspose') axes.set(second, 0)
    if (n.op === 'Gemm') axes.set(second, intAttribute(n, 'transB', 0))
    if (n.op !== 'MatMul') continue
    const [left, right] = [graph.constant(first), graph.constant(second)]
    if (left) axes.set(first, left.dims.length - 1)
    if (right) axes.set(second, Math.max(0, right.dims.length - 2))
  }
  return axes
}

/** Where the unit is read by layers that mix it; all its slices if none does. */
function readingSlices({ slices }: Unit, reading: ReadonlyMap<string, number>): readonly Slice[] {
  const read = slices.filter((s) => reading.get(s.tensor) === s.axis)
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
