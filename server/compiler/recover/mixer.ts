import { elementCount, floatAttribute, type Graph, intAttribute, type Node } from '../graph/index.js'

/**
 * A layer whose outputs are sums over its inputs with constant weights: Conv of any rank, kernel and grouping, Gemm and
 * MatMul. A BatchNormalization that follows no such layer is one too: a block a channel, whose single weight is one.
 * Each of its `blocks` computes `outputs / blocks` channels from `inputs` channels of its own, each at `taps` positions.
 */
export interface Mixer {
  readonly node: Node
  readonly input: string
  /** The constant that holds the weights; absent for a BatchNormalization. */
  readonly weight?: string
  readonly outputs: number
  readonly blocks: number
  readonly inputs: number
  readonly taps: number
  /** Of a convolution; empty for others. */
  readonly kernel: readonly number[]
  /** Where input and output hold channels: after the batch axis, or last. */
  readonly channels: 'second' | 'last'
}

/** Unknowns of one output channel: weights, without a bias. */
export const unknownsOf = ({ inputs, taps }: Pick<Mixer, 'inputs' | 'taps'>): number => inputs * taps

/** Axis along which a mixer's weights read its input. */
export const readingAxis = ({ node: n }: Mixer): number =>
  n.op === 'Conv' ? 1 : n.op === 'Gemm' ? intAttribute(n, 'transB', 0) : 0

/** The mixers of a graph, in its order. Layers whose weights other nodes read as well are none: they are not theirs. */
export function mixersOf(graph: Graph): Mixer[] {
  return graph.nodes.flatMap((n) => mixerOf(graph, n) ?? [])
}

function mixerOf(graph: Graph, n: Node): Mixer | undefined {
  if (n.domain !== '') return undefined
  const [input, weight] = n.inputs
  if (!input || !weight || graph.constant(input) || graph.uses(weight) !== 1) return undefined
  const w = graph.constant(weight)
  if (w?.dtype !== 'float32') return undefined
  const common = { node: n, input }
  if (n.op === 'BatchNormalization') {
    if (intAttribute(n, 'training_mode', 0) === 1 || followsMixer(graph, n)) return undefined
    const channels = elementCount(w.dims)
    return {
      ...common,
      outputs: channels,
      blocks: channels,
      inputs: 1,
      taps: 1,
      kernel: [],
      channels: 'second',
    }
  }
  if (!hasPlainBias(graph, n)) return undefined
  if (n.op === 'Conv') {
    const [outputs, inputs, ...kernel] = w.dims
    const blocks = intAttribute(n, 'group', 1)
    return {
      ...common,
      weight,
      outputs,
      blocks,
      inputs,
      taps: elementCount(kernel),
      kernel,
      channels: 'second',
    }
  }
  const plainGemm =
    n.op === 'Gemm' &&
    intAttribute(n, 'transA', 0) === 0 &&
    floatAttribute(n, 'alpha', 1) === 1 &&
    floatAttribute(n, 'beta', 1) === 1
  if ((!plainGemm && n.op !== 'MatMul') || w.dims.length !== 2) return undefined
  const [inputs, outputs] = intAttribute(n, 'transB', 0) === 1 ? [w.dims[1], w.dims[0]] : w.dims
  return { ...common, weight, outputs, blocks: 1, inputs, taps: 1, kernel: [], channels: 'last' }
}

/** No bias, or one constant number a channel. */
function hasPlainBias(graph: Graph, n: Node): boolean {
  const name = n.op === 'MatMul' ? '' : n.inputs[2]
  if (!name) return true
  const t = graph.constant(name)
  const vector = t?.dims.length === 1 || (t?.dims.length === 2 && t.dims[0] === 1)
  return t?.dtype === 'float32' && vector && (n.op === 'Conv' || elementCount(t.dims) === outputsOf(graph, n))
}

const outputsOf = (graph: Graph, n: Node) =>
  graph.constant(n.inputs[1])?.dims[intAttribute(n, 'transB', 0) === 1 ? 0 : 1]

const followsMixer = (graph: Graph, norm: Node): boolean => {
  const before = graph.producer(norm.inputs[0])
  return before !== undefined && graph.uses(norm.inputs[0]) === 1 && mixerOf(graph, before) !== undefined
}

/** The weights as a matrix [outputs, unknowns]: a row for each output channel. */
export function weightsOf(graph: Graph, mixer: Mixer): Float64Array {
  const { weight, outputs } = mixer
  const columns = unknownsOf(mixer)
  if (!weight) return new Float64Array(outputs).fill(1)
  const data = (graph.constant(weight)?.data ?? []) as Float32Array
  if (!isTransposed(mixer)) return Float64Array.from(data)
  return Float64Array.from(data, (_, i) => data[(i % columns) * outputs + Math.floor(i / columns)])
}

/** The constant that holds these weights. */
export function asTensor(graph: Graph, mixer: Mixer, rows: Float64Array) {
  const columns = unknownsOf(mixer)
  const { outputs } = mixer
  const data = isTransposed(mixer)
    ? Float32Array.from(rows, (_, i) => rows[(i % outputs) * columns + Math.floor(i / outputs)])
    : Float32Array.from(rows)
  return { dtype: 'float32', dims: graph.constant(mixer.weight ?? '')?.dims ?? [], data } as const
}

/** Whether the constant holds a column for each output. */
const isTransposed = ({ node: n }: Mixer) =>
  n.op === 'MatMul' || (n.op === 'Gemm' && intAttribute(n, 'transB', 0) === 0)
