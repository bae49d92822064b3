import { buffersOf, constants, type Description, describe, type Shapes } from '../analysis/index.js'
import type { Graph, Tensor } from '../graph/index.js'

/** What a network consists of without certain blocks, at full size. */
export interface Frame {
  readonly weights: ReadonlyMap<string, Tensor>
  /** Those that convolutions read. */
  readonly convolved: ReadonlySet<string>
  readonly alive: ReadonlyMap<string, readonly [born: number, dies: number]>
  /** First outputs of the nodes that are left. */
  readonly made: ReadonlySet<string>
  readonly description: Description
}

/** @param full dimensions of every value, nothing pruned */
export const frameOf = (graph: Graph, full: Shapes['dims']): Frame => ({
  weights: distinctConstants(graph),
  convolved: new Set(graph.nodes.flatMap((n) => (n.op === 'Conv' ? [n.inputs[1]] : []))),
  alive: new Map(buffersOf(graph, full).map((b) => [b.value, [b.born, b.dies] as const])),
  made: new Set(graph.nodes.map((n) => n.outputs[0])),
  description: describe(graph),
})

/** Constants that are read; of copies that consumers of one constant were given, the first. */
function distinctConstants(graph: Graph) {
  const seen = new Set<object>()
  return new Map(
    [...constants(graph)].filter(([name, t]) => {
      if (seen.has(t) || graph.uses(name) === 0) return false
      seen.add(t)
      return true
    }),
  )
}
