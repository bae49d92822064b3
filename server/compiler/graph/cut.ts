import type { Graph } from './graph.js'
import { captures, type Node, node, reads } from './node.js'

/** One input of the node that makes `value`. */
export interface Edge {
  readonly value: string
  readonly input: number
}

type Cut = ReadonlyMap<string, ReadonlySet<number>>

function cutOf(edges: readonly Edge[]): Cut {
  const cut = new Map<string, Set<number>>()
  for (const { value, input } of edges) cut.set(value, (cut.get(value) ?? new Set()).add(input))
  return cut
}

const readsUncut = (n: Node, cut: Cut): readonly string[] => {
  const gone = cut.get(n.outputs[0])
  return gone ? n.inputs.filter((_, i) => !gone.has(i)) : reads(n)
}

/** The nodes that the graph's outputs depend on, were these edges cut. */
export function nodesNeeded(graph: Graph, edges: readonly Edge[] = []): Set<Node> {
  const cut = cutOf(edges)
  const needed = new Set<Node>()
  const open = graph.outputs.map((o) => o.name)
  for (let value = open.pop(); value !== undefined; value = open.pop()) {
    const n = graph.producer(value)
    if (!n || needed.has(n)) continue
    needed.add(n)
    open.push(...readsUncut(n, cut))
  }
  return needed
}

/**
 * The graph with inputs of sums left out. Where one is left, what reads the sum reads that instead; the name stays, by
 * an Identity, where the sum is an output or a subgraph reads it. What no output depends on any more goes, constants
 * too. The same object if no edge is given.
 */
export function cutEdges(graph: Graph, edges: readonly Edge[]): Graph {
  if (edges.length === 0) return graph
  const cut = cutOf(edges)
  const needed = nodesNeeded(graph, edges)
  const instead = new Map<string, string>()
  const nodes = graph.nodes.flatMap((n): Node[] => {
    if (n.op !== 'Constant' && !needed.has(n)) return []
    const [value] = n.outputs
    const gone = cut.get(value)
    const inputs = n.inputs.filter((_, i) => !gone?.has(i)).map((i) => instead.get(i) ?? i)
    if (!gone || inputs.length > 1)
      return n.inputs.every((i, k) => i === inputs[k]) ? [n] : [{ ...n, inputs }]
    if (isNameKept(graph, value)) return [node('Identity', inputs, [value], {}, { name: n.name })]
    instead.set(value, inputs[0])
    return []
  })
  const read = new Set([...nodes.flatMap(reads), ...graph.outputs.map((o) => o.name)])
  const stays = (name: string) => read.has(name) || graph.uses(name) === 0
  const made = nodes.filter((n) => n.op !== 'Constant' || stays(n.outputs[0]))
  const values = new Set(made.flatMap((n) => n.outputs))
  return graph.with({
    nodes: made,
    initializers: new Map([...graph.initializers].filter(([name]) => stays(name))),
    values: new Map([...graph.values].filter(([name]) => values.has(name))),
  })
}

const isNameKept = (graph: Graph, value: string) =>
  graph.isOutput(value) || graph.consumers(value).some((n) => captures(n).includes(value))
