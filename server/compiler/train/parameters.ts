import { elementCount, type Graph, type Node, type Tensor, withAttributes } from '../graph/index.js'
import { fullName } from '../ops/index.js'

/** Which inputs of a layer hold its weights. */
const layers: Readonly<Record<string, readonly number[]>> = {
  Conv: [1, 2],
  ConvTranspose: [1, 2],
  Gemm: [0, 1, 2],
  MatMul: [0, 1],
  Einsum: [0, 1, 2, 3],
  BatchNormalization: [1, 2],
  LayerNormalization: [1, 2],
  InstanceNormalization: [1, 2],
  GroupNormalization: [1, 2],
  RMSNormalization: [1],
  SimplifiedLayerNormalization: [1],
  PRelu: [1],
  RNN: [1, 2, 3, 5],
  GRU: [1, 2, 3, 5],
  LSTM: [1, 2, 3, 5, 6, 7],
  'com.microsoft.Attention': [1, 2],
  'com.microsoft.MultiHeadAttention': [3],
  'com.microsoft.BiasGelu': [1],
  'com.microsoft.FastGelu': [1],
  'com.microsoft.FusedConv': [1, 2],
  'com.microsoft.FusedGemm': [0, 1, 2],
  'com.microsoft.FusedMatMul': [0, 1],
  'com.microsoft.SkipLayerNormalization': [2, 3, 4],
  'com.microsoft.SkipSimplifiedLayerNormalization': [2, 3],
}
/** Constants of these are weights (a bias, a scale, a class token) when what they meet depends on weights already. */
const meeting = new Set(['Add', 'Sub', 'Mul', 'Div', 'Concat'])
/** A weight is still one behind these. */
const moving = new Set([
  'Transpose',
  'Reshape',
  'Unsqueeze',
  'Squeeze',
  'Expand',
  'Identity',
  'Slice',
  'Flatten',
])

/**
 * The float constants that training changes: weights of layers, tables that rows are looked up in, and biases and
 * scales of more than one element that follow a layer. Fixed numbers stay: the 3 and 6 of a hard-swish, a normalisation of the
 * input, a mask.
 */
export function trainableWeights(graph: Graph): ReadonlyMap<string, Tensor> {
  const found = new Map<string, Tensor>()
  const depends = new Set<string>()
  for (const n of graph.nodes) {
    const isLayer = fullName(n) in layers || isTable(graph, n)
    for (const place of placesOf(graph, n, depends)) {
      const name = behindMoves(graph, n.inputs[place] ?? '')
      const value = graph.constant(name)
      if (value?.dtype !== 'float32' || (!isLayer && isFixed(value))) continue
      found.set(name, value)
    }
    if (n.inputs.some((i) => depends.has(i) || found.has(behindMoves(graph, i))))
      for (const o of n.outputs) depends.add(o)
  }
  return found
}

function placesOf(graph: Graph, n: Node, depends: ReadonlySet<string>): readonly number[] {
  if (meeting.has(n.op) && n.domain === '')
    return n.inputs.some((i) => depends.has(i)) ? [...n.inputs.keys()] : []
  return isTable(graph, n) ? [0] : (layers[fullName(n)] ?? [])
}

/** An embedding, or a bias by relative position: a table of rows. */
const isTable = (graph: Graph, n: Node) =>
  n.op === 'Gather' && n.domain === '' && (graph.constant(n.inputs[0])?.dims.length ?? 0) > 1

function behindMoves(graph: Graph, name: string): string {
  let value = name
  for (let n = graph.producer(value); n && moving.has(n.op) && n.domain === ''; n = graph.producer(value))
    value = n.inputs[0]
  return value
}

/** A single number, or a mask: nothing but zeros and numbers that leave nothing after Softmax. */
const isFixed = ({ dims, data }: Tensor) =>
  elementCount(dims) <= 1 ||
  ((data as Float32Array).some((v) => v <= -1000) &&
    (data as Float32Array).every((v) => v === 0 || v <= -1000))

/** The graph with some constants replaced, whether they are initializers or Constant nodes. */
export function withConstants(graph: Graph, values: ReadonlyMap<string, Tensor>): Graph {
  const initializers = new Map(graph.initializers)
  for (const [name, value] of values) if (initializers.has(name)) initializers.set(name, value)
  const nodes = graph.nodes.map((n) => {
    const value = n.op === 'Constant' ? values.get(n.outputs[0]) : undefined
    return value ? withAttributes(n, { value }) : n
  })
  return graph.with({ initializers, nodes })
}
