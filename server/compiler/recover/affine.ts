import {
  elementCount,
  floatAttribute,
  floats,
  type Graph,
  intAttribute,
  type Node,
  type Tensor,
} from '../graph/index.js'
import { asTensor, type Mixer, unknownsOf, weightsOf } from './mixer.js'

/**
 * What a mixer computes with what is fused into it by meaning, a bias and the BatchNormalization (or the Add of a bias)
 * that alone reads it: `value` = rows · x + bias, a row of weights for each output channel.
 */
export interface Affine {
  /** The value that holds the result. */
  readonly value: string
  /** [outputs, unknowns] */
  readonly rows: Float64Array
  readonly bias: Float64Array
  /** Whether there is a place to put a bias. */
  readonly shifts: boolean
}

export type Weights = Pick<Affine, 'rows' | 'bias'>

/** Mean and variance that a layer's sums have over the data, by output channel. */
export interface Moments {
  readonly mean: Float64Array
  readonly variance: Float64Array
}

export function affineOf(graph: Graph, mixer: Mixer): Affine {
  const { node: n, outputs } = mixer
  const rows = weightsOf(graph, mixer)
  const own = n.inputs[2] && mixer.weight ? graph.constant(n.inputs[2]) : undefined
  const bias = own ? Float64Array.from(own.data as Float32Array) : new Float64Array(outputs)
  const norm = normOf(graph, mixer)
  if (norm) {
    const { scale, shift, mean, variance, epsilon } = normParts(graph, norm)
    const columns = unknownsOf(mixer)
    const factors = Float64Array.from(scale, (s, o) => s / Math.sqrt(variance[o] + epsilon))
    return {
      value: norm.outputs[0],
      rows: rows.map((w, i) => w * factors[Math.floor(i / columns)]),
      bias: bias.map((b, o) => (b - mean[o]) * factors[o] + shift[o]),
      shifts: true,
    }
  }
  const added = addedBias(graph, mixer)
  if (!added) return { value: n.outputs[0], rows, bias, shifts: ownsBias(graph, mixer) }
  const values = graph.constant(added.constant)?.data as Float32Array
  return { value: added.node.outputs[0], rows, bias: bias.map((b, o) => b + values[o]), shifts: true }
}

/**
 * The constants with which the mixer computes other rows and another bias. A BatchNormalization gets the statistics that
 * its input has then, as in REPAIR (Jordan et al. 2023, "REPAIR: REnormalizing Permuted Activations for Interpolation
 * Repair"), with scale and shift such that the function is the one asked for: training, which normalises by the batch,
 * starts from that very function.
 * @param moments of rows · x, without the bias
 */
export function withAffine(
  graph: Graph,
  mixer: Mixer,
  { rows, bias }: Weights,
  moments: Moments,
): Map<string, Tensor> {
  const changed = new Map<string, Tensor>()
  const norm = normOf(graph, mixer)
  const columns = unknownsOf(mixer)
  const own = mixer.weight ? graph.constant(mixer.node.inputs[2] ?? '') : undefined
  if (norm) {
    const { scale, variance, epsilon } = normParts(graph, norm)
    const factors = Float64Array.from(scale, (s, o) => {
      if (!mixer.weight) return rows[o]
      const factor = s / Math.sqrt(variance[o] + epsilon)
      return Math.abs(factor) > 1e-6 ? factor : 1
    })
    if (mixer.weight)
      changed.set(
        mixer.weight,
        asTensor(
          graph,
          mixer,
          rows.map((w, i) => w / factors[Math.floor(i / columns)]),
        ),
      )
    const [, gamma, beta, mean, spread] = norm.inputs
    const set = (name: string, value: (o: number) => number) =>
      changed.set(
        name,
        floats(
          [mixer.outputs],
          Float64Array.from(factors, (_, o) => value(o)),
        ),
      )
    const seen = (o: number) => (factors[o] === 0 ? 0 : moments.variance[o] / factors[o] ** 2)
    set(gamma, (o) => factors[o] * Math.sqrt(seen(o) + epsilon))
    set(beta, (o) => bias[o] + moments.mean[o])
    set(mean, (o) => (factors[o] === 0 ? 0 : moments.mean[o] / factors[o]) + Number(own?.data[o] ?? 0))
    set(spread, seen)
    return changed
  }
  if (mixer.weight) changed.set(mixer.weight, asTensor(graph, mixer, rows))
  const added = addedBias(graph, mixer)
  const place = added?.constant ?? (ownsBias(graph, mixer) ? mixer.node.inputs[2] : undefined)
  const was = place ? graph.constant(place) : undefined
  if (was && place)
    changed.set(place, floats(was.dims, added && own ? bias.map((b, o) => b - Number(own.data[o])) : bias))
  return changed
}

/** Whether the layer has a bias that nobody else reads. */
const ownsBias = (graph: Graph, { node: n, weight }: Mixer): boolean =>
  weight !== undefined && Boolean(n.inputs[2]) && graph.uses(n.inputs[2]) === 1

/** The BatchNormalization, in evaluation form, that alone reads the mixer; or that the mixer itself is. */
function normOf(graph: Graph, { node: n, weight }: Mixer): Node | undefined {
  const norm = weight ? onlyReader(graph, n) : n
  if (norm?.op !== 'BatchNormalization' || norm.domain !== '') return undefined
  if (weight && norm.inputs[0] !== n.outputs[0]) return undefined
  const whole = norm.inputs
    .slice(1)
    .every((name) => graph.constant(name)?.dtype === 'float32' && graph.uses(name) === 1)
  return whole && intAttribute(norm, 'training_mode', 0) === 0 ? norm : undefined
}

function normParts(graph: Graph, norm: Node) {
  const [scale, shift, mean, variance] = norm.inputs
    .slice(1)
    .map((name) => Float64Array.from(graph.constant(name)?.data as Float32Array))
  return { scale, shift, mean, variance, epsilon: floatAttribute(norm, 'epsilon', 1e-5) }
}

/** The Add of a constant, one number a channel, that alone reads the mixer: how MatMul gets its bias. */
function addedBias(graph: Graph, { node: n, outputs, channels, kernel }: Mixer) {
  const add = onlyReader(graph, n)
  if (add?.op !== 'Add' || add.domain !== '') return undefined
  const constant = add.inputs.find((i) => i !== n.outputs[0])
  const t = constant ? graph.constant(constant) : undefined
  if (!constant || t?.dtype !== 'float32' || graph.uses(constant) !== 1) return undefined
  const axis = channels === 'last' ? t.dims.length - 1 : t.dims.length - 1 - kernel.length
  return elementCount(t.dims) === outputs && t.dims[axis] === outputs ? { node: add, constant } : undefined
}

function onlyReader(graph: Graph, n: Node): Node | undefined {
  const [value] = n.outputs
  return graph.uses(value) === 1 ? graph.consumers(value)[0] : undefined
}
