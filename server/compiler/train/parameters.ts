import type { Graph, Tensor } from '../graph/index.js'
import { elementCount, withAttributes } from '../graph/index.js'

/** Which inputs of a layer hold its weights. */
const layers: Readonly<Record<string, readonly number[]>> = {
  Conv: [1, 2],
  ConvTranspose: [1, 2],
  Gemm: [0, 1, 2],
  MatMul: [0, 1],
  BatchNormalization: [1, 2],
  PRelu: [1],
}
/** Constants of these are weights (a bias, a scale) when what they act on depends on weights already. */
const arithmetic = new Set(['Add', 'Sub', 'Mul', 'Div'])

/**
 * The float constants that training changes: weights of layers, and biases and scales of more than one element that
 * follow a layer. Fixed numbers (the 3 and 6 of a hard-swish, a normalisation of the input) stay.
 */
export function trainableWeights(graph: Graph): ReadonlyMap<string, Tensor> {
  const found = new Map<string, Tensor>()
  const depends = new Set<string>()
  for (const n of graph.nodes) {
    const places =
      arithmetic.has(n.op) && n.inputs.some((i) => depends.has(i)) ? [0, 1] : (layers[n.op] ?? [])
    for (const place of places) {
      const name = n.inputs[place]
      const value = name ? graph.constant(name) : undefined
      if (value?.dtype !== 'float32') continue
      if (elementCount(value.dims) > 1 || layers[n.op]) found.set(name, value)
    }
    if (n.inputs.some((i) => depends.has(i) || found.has(i))) for (const o of n.outputs) depends.add(o)
  }
  return found
}

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
