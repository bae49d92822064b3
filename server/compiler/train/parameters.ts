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
/** What a weight is moved by and still is one behind. */
const moving = new Set([
  'Transpose',
  'Reshape',
  'Unsqueeze',
  'Squeeze',
  'Expand',
  'Identity',
  'Slice',
  'Flatten',
  'Concat',
])

/**
 * The float constants that training changes: weights of layers, tables that rows are looked up in, and biases and
 * scales of more than one element that follow a layer. Fixed numbers stay: the 3 and 6 of a hard-swish, a normalisation of the
 * input, a mask.
 */
export function trainableWeights(graph: Graph): ReadonlyMap<string, Tensor> {
  const found = new Map<string, Tensor>()
  const depends = new Set<string>()
  const behind = behindMoves(graph)
  for (const n of graph.nodes) {
    const isLayer = fullName(n) in layers || isTable(graph, n)
    for (const place of placesOf(graph, n, depends))
      for (const name of behind(n.inputs[place] ?? '')) {
        const value = graph.constant(name)
        if (value?.dtype === 'float32' && (isLayer || !isFixed(value))) found.set(name, value)
      }
    if (n.inputs.some((i) => depends.has(i) || [...behind(i)].some((name) => found.has(name))))
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

/** What a value is made of by movement alone. */
function behindMoves(graph: Graph): (value: string) => ReadonlySet<string> {
  const known = new Map<string, ReadonlySet<string>>()
  const behind = (value: string): ReadonlySet<string> => {
    const found = known.get(value)
    if (found) return found
    const n = graph.producer(value)
    const moved =
      n && moving.has(n.op) && n.domain === '' ? n.inputs.slice(0, n.op === 'Concat' ? undefined : 1) : []
    const made = new Set(moved.length > 0 ? moved.flatMap((i) => [...behind(i)]) : [value])
    known.set(value, made)
    return made
  }
  return behind
}

/** A single number, or a mask: nothing but zeros and numbers that leave nothing after Softmax. */
const isFixed = ({ dims, data }: Tensor) =>
  elementCount(dims) <= 1 ||
  ((data as Float32Array).some((v) => v <= -1000) &&
    (data as Float32Array).every((v) => v === 0 || v <= -1000))

/** The constant that a value is, also where the file shares it with others through Identity. */
export function constantBehind(graph: Graph, value: string): Tensor | undefined {
  const n = graph.producer(value)
  return n?.op === 'Identity' && n.domain === '' ? constantBehind(graph, n.inputs[0]) : graph.constant(value)
}

/**
 * The graph with some constants replaced, whether they are initializers, Constant nodes or shared through Identity:
 * those become initializers of their own.
 */
export function withConstants(graph: Graph, values: ReadonlyMap<string, Tensor>): Graph {
  const initializers = new Map(graph.initializers)
  for (const [name, value] of values) if (initializers.has(name)) initializers.set(name, value)
  const nodes = graph.nodes.flatMap((n) => {
    const value = values.get(n.outputs[0])
    if (!value) return [n]
    if (n.op === 'Constant') return [withAttributes(n, { value })]
    if (n.op !== 'Identity') return [n]
    initializers.set(n.outputs[0], value)
    return []
  })
  return graph.with({ initializers, nodes })
}
