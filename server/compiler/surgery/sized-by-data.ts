import { type Graph, reads } from '../graph/index.js'

/** Operators that give as many elements as their input's values ask for; what a body gives may be such. */
const counting = new Set(['Compress', 'If', 'Loop', 'NonMaxSuppression', 'NonZero', 'Scan', 'Unique'])

/** Values whose size may depend on what the network computes, and not only on the sizes of its inputs. */
export function sizedByData(graph: Graph): ReadonlySet<string> {
  const found = new Set<string>()
  for (const n of graph.nodes) {
    if (counting.has(n.op) || reads(n).some((name) => found.has(name)))
      for (const o of n.outputs) found.add(o)
  }
  return found
}
