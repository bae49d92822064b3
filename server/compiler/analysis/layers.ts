import { type Graph, intAttribute } from '../graph/index.js'

/** Along which axes a mixing layer's weight reads the layer's input and writes its output. */
export interface LayerAxes {
  readonly reads: number
  readonly writes: number
}

/** The axes of every weight of a mixing layer, by name; of one that is dequantised first, by that of what is. */
export function layerAxes(graph: Graph): Map<string, LayerAxes> {
  const axes = new Map<string, LayerAxes>()
  const held = (name: string) => {
    const n = graph.producer(name)
    return n?.op === 'DequantizeLinear' ? n.inputs[0] : name
  }
  for (const n of graph.nodes) {
    const [first, second] = n.inputs.slice(0, 2).map(held)
    if (n.op === 'Conv') axes.set(second, { reads: 1, writes: 0 })
    if (n.op === 'ConvTranspose') axes.set(second, { reads: 0, writes: 1 })
    if (n.op === 'Gemm') {
      const reads = intAttribute(n, 'transB', 0)
      axes.set(second, { reads, writes: 1 - reads })
    }
    if (n.op !== 'MatMul') continue
    const [left, right] = [graph.constant(first)?.dims.length, graph.constant(second)?.dims.length]
    if (left) axes.set(first, { reads: left - 1, writes: Math.max(0, left - 2) })
    if (right) axes.set(second, { reads: Math.max(0, right - 2), writes: right - 1 })
  }
  return axes
}
