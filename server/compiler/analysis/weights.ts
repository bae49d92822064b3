import type { Graph } from '../graph/index.js'
import { opFor } from '../ops/index.js'
import { constants } from './shapes.js'

/** Element types that weights come in; other constants hold numbers that mean positions or sizes. */
const floating = new Set(['float32', 'float64', 'float16', 'bfloat16'])
/** What quantised weights come in, where their operator says that it reads weights. */
const quantised = new Set(['int8', 'uint8', 'int16', 'uint16', 'int32', 'uint32'])

/** Constants that hold what the network was trained to, quantised or not. */
export function weightsOf(graph: Graph): ReadonlySet<string> {
  const found = new Set<string>()
  for (const [name, t] of constants(graph)) if (floating.has(t.dtype)) found.add(name)
  for (const n of graph.nodes) {
    for (const i of opFor(n)?.weights ?? []) {
      const t = n.inputs[i] ? graph.constant(n.inputs[i]) : undefined
      if (t && quantised.has(t.dtype)) found.add(n.inputs[i])
    }
  }
  return found
}
