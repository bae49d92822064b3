import { type Graph, reads } from '../graph/index.js'

/**
 * The same nodes in an order in which the runtime takes the gradient of each weight as soon as it can, and so lets go of what
 * that reads. onnxruntime walks back from the outputs, first from the youngest of those that nothing reads: in the order in
 * which gradients are written those of the first layer, whose way back leads past all others, which wait with their
 * activations until then.
 */
export function eagerly(graph: Graph): Graph {
  const read = new Set(graph.nodes.flatMap(reads))
  const isLast = graph.nodes.map((n) => !n.outputs.some((o) => read.has(o)))
  return graph.with({
    nodes: [
      ...graph.nodes.filter((_, i) => !isLast[i]),
      ...graph.nodes.filter((_, i) => isLast[i]).reverse(),
    ],
  })
}
