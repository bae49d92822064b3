import { type Graph, intAttribute, type Node } from '../graph/index.js'
import type { Output } from './loss.js'
import type { Sizes } from './shapes.js'

const endings = new Set(['Softmax', 'LogSoftmax', 'Sigmoid'])

/** The network's float outputs, each with what a final activation is given: losses are computed from that. */
export function outputsOf(graph: Graph, { dims }: Pick<Sizes, 'dims'>): ReadonlyMap<string, Output> {
  return new Map(
    graph.outputs.flatMap(({ name, dtype }) => {
      if (dtype !== 'float32') return []
      const shape = dims.get(name) ?? []
      const last = graph.producer(name)
      const ends = last && endings.has(last.op) && last.domain === '' && isPlain(last, graph.opset, shape)
      return [[name, { value: name, logits: ends ? last.inputs[0] : name, dims: shape }] as const]
    }),
  )
}

/** Until operator set 12 Softmax took all dimensions from its axis on as one. */
function isPlain(n: Node, opset: number, dims: readonly number[]): boolean {
  if (n.op === 'Sigmoid' || opset > 12) return true
  const axis = intAttribute(n, 'axis', 1)
  return dims.slice(((axis + dims.length) % dims.length) + 1).every((d) => d === 1)
}
