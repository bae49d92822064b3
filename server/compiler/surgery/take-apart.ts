import { float, floatAttribute, type Graph, type Node, node } from '../graph/index.js'
import { MICROSOFT } from '../ops/index.js'

/** Of x + skip (+ bias), normalised: the normalisation, its default epsilon, and where scale, shift and bias are. */
const fused: Readonly<
  Record<string, { normal: string; epsilon: number; parameters: readonly number[]; bias: number }>
> = {
  SkipLayerNormalization: { normal: 'LayerNormalization', epsilon: 1e-12, parameters: [2, 3], bias: 4 },
  SkipSimplifiedLayerNormalization: {
    normal: 'SimplifiedLayerNormalization',
    epsilon: 1e-5,
    parameters: [2],
    bias: 3,
  },
}

/**
 * Takes onnxruntime's fusions of a sum and a normalisation apart, as the runtime puts them together again when it loads
 * the network: branches end at a sum, and a normalisation by itself can stay exact over fewer channels. The same object if
 * there are none.
 */
export function takeApart(graph: Graph): Graph {
  if (!graph.nodes.some(isFused)) return graph
  return graph.with({ nodes: graph.nodes.flatMap((n) => (isFused(n) ? partsOf(graph, n) : [n])) })
}

const isFused = (n: Node) => n.domain === MICROSOFT && n.op in fused

function partsOf(graph: Graph, n: Node): Node[] {
  const { normal, epsilon, parameters, bias } = fused[n.op]
  const [y, mean = '', deviation = '', given] = n.outputs
  const sum = given || `${y}.sum`
  const operands = n.inputs.slice(0, 2)
  const made: Node[] = []
  if (n.inputs[bias]) {
    // The bias is that of the product beside it, and goes with it.
    const k = operands.findIndex((name) => graph.producer(name)?.op === 'MatMul')
    const biased = `${y}.biased`
    const own = Math.max(0, k)
    made.push(node('Add', [operands[own], n.inputs[bias]], [biased]))
    operands[own] = biased
  }
  const inputs = [sum, ...parameters.map((i) => n.inputs[i] ?? '')]
  while (inputs.at(-1) === '') inputs.pop()
  const outputs = [y, mean, deviation]
  while (outputs.at(-1) === '') outputs.pop()
  return [
    ...made,
    node('Add', operands, [sum]),
    node(
      normal,
      inputs,
      outputs,
      { axis: -1, epsilon: float(floatAttribute(n, 'epsilon', epsilon)) },
      { name: n.name },
    ),
  ]
}
