import { indexPicks, type Shapes } from '../analysis/index.js'
import { type Graph, int64s, type Node, node } from '../graph/index.js'

/**
 * Replaces each chain of data movement that amounts to picking indices along one dimension by one Gather, and drops
 * links that nobody reads any more. The same object if there is none.
 */
export function gatherMoves(graph: Graph, shapes: Shapes): Graph {
  const picks = new Map(indexPicks(graph, shapes).map((p) => [p.value, p]))
  if (picks.size === 0) return graph
  const links = new Set([...picks.values()].flatMap((p) => p.nodes))
  const nodes = graph.nodes.flatMap((n): Node[] => {
    const pick = picks.get(n.outputs[0])
    if (!pick) return [n]
    const indices = `${pick.value}.indices`
    return [
      node('Constant', [], [indices], { value: int64s(pick.indices) }),
      node('Gather', [pick.source, indices], [pick.value], { axis: pick.axis }, { name: n.name }),
    ]
  })
  return withoutUnread(graph.with({ nodes }), links)
}

function withoutUnread(graph: Graph, links: ReadonlySet<Node>): Graph {
  const unread = (n: Node) => n.outputs.every((o) => o === '' || graph.uses(o) === 0)
  const nodes = graph.nodes.filter((n) => !(links.has(n) && unread(n)))
  return nodes.length === graph.nodes.length ? graph : withoutUnread(graph.with({ nodes }), links)
}
