import { floatAttribute, type Graph, intAttribute, type Node, node, type Tensor } from '../graph/index.js'
import { constantNode, copyName } from './separate-constants.js'

/**
 * Folds each BatchNormalization into the convolution before it: w′ = w · γ/√(σ²+ε), b′ = (b − μ) · γ/√(σ²+ε) + β.
 * Left alone: a convolution whose output is read elsewhere too (a graph output is a reading), training mode, weights
 * that are not float32 constants. The same object if nothing was folded.
 */
export function foldBatchNorm(graph: Graph): Graph {
  const constants = new Map<string, Tensor>()
  const added: Node[] = []
  const folded = new Map<Node, Node>()
  const gone = new Set<Node>()
  for (const bn of graph.nodes) {
    const conv = graph.producer(bn.inputs[0])
    if (bn.op !== 'BatchNormalization' || bn.domain !== '' || conv?.op !== 'Conv') continue
    if (graph.uses(bn.inputs[0]) > 1 || intAttribute(bn, 'training_mode', 0) === 1) continue
    const merged = fold(graph, conv, bn)
    if (!merged) continue
    /** Puts a new value in the place of a constant that only this pair reads, or beside one that others read too. */
    const place = (name: string, value: Tensor): string => {
      if (graph.uses(name) === 1) {
        constants.set(name, value)
        return name
      }
      const own = copyName(name, bn)
      added.push(node('Constant', [], [own], { value }))
      return own
    }
    const weight = place(conv.inputs[1], merged.weight)
    const bias = place(conv.inputs[2] || bn.inputs[2], merged.bias)
    folded.set(conv, { ...conv, inputs: [conv.inputs[0], weight, bias], outputs: [bn.outputs[0]] })
    gone.add(bn)
  }
  if (gone.size === 0) return graph
  const nodes = graph.nodes.flatMap((n): Node[] => {
    if (gone.has(n)) return []
    const value = n.op === 'Constant' ? constants.get(n.outputs[0]) : undefined
    return [value ? constantNode(n, value) : (folded.get(n) ?? n)]
  })
  const initializers = new Map([...graph.initializers].map(([name, t]) => [name, constants.get(name) ?? t]))
  return withoutUnreadConstants(graph.with({ nodes: [...added, ...nodes], initializers }), [...gone])
}

function fold(graph: Graph, conv: Node, bn: Node): { weight: Tensor; bias: Tensor } | undefined {
  const w = graph.constant(conv.inputs[1])
  const [scale, shift, mean, variance] = bn.inputs.slice(1).map((name) => graph.constant(name))
  const b = conv.inputs[2] ? graph.constant(conv.inputs[2]) : undefined
  const parts = [w, scale, shift, mean, variance, ...(conv.inputs[2] ? [b] : [])]
  if (!w || !scale || !shift || !mean || !variance || parts.some((t) => t?.dtype !== 'float32'))
    return undefined
  const epsilon = floatAttribute(bn, 'epsilon', 1e-5)
  const at = (t: Tensor, i: number) => Number(t.data[i])
  const factors = Array.from(
    { length: w.dims[0] },
    (_, o) => at(scale, o) / Math.sqrt(at(variance, o) + epsilon),
  )
  const inner = w.data.length / w.dims[0]
  return {
    weight: {
      dtype: 'float32',
      dims: w.dims,
      data: Float32Array.from(w.data as Float32Array, (v, i) => v * factors[Math.floor(i / inner)]),
    },
    bias: {
      dtype: 'float32',
      dims: [w.dims[0]],
      data: Float32Array.from(factors, (f, o) => ((b ? at(b, o) : 0) - at(mean, o)) * f + at(shift, o)),
    },
  }
}

/** Drops constants that the removed nodes read and nobody else does. */
function withoutUnreadConstants(graph: Graph, removed: readonly Node[]): Graph {
  const candidates = new Set(removed.flatMap((n) => n.inputs))
  const unread = (name: string) => candidates.has(name) && graph.uses(name) === 0
  return graph.with({
    nodes: graph.nodes.filter((n) => !(n.op === 'Constant' && unread(n.outputs[0]))),
    initializers: new Map([...graph.initializers].filter(([name]) => !unread(name))),
  })
}
