import { createHash } from 'node:crypto'
import { type Coupling, constants, type Unit } from '../analysis/index.js'
import { ladder } from '../budget/index.js'
import { Graph, node } from '../graph/index.js'
import { removeUnits } from '../surgery/index.js'
import { isFused, kindOf, single, sizesOf } from './single.js'

/** One operator at one set of sizes, as a graph that can be measured. */
export interface Subject {
  readonly op: string
  readonly kind: string
  readonly dims: number[][]
  readonly graph: Graph
}

/** Each group is looked at with so many counts of units; a prime, so that two groups meet in all combinations. */
const LEVELS = 7

/** A query that computes nothing that counts. */
export const nothing = (): Graph =>
  new Graph({
    name: 'nothing',
    nodes: [node('Relu', ['x'], ['y'])],
    initializers: new Map(),
    inputs: [{ name: 'x', dtype: 'float32', dims: [1] }],
    outputs: [{ name: 'y', dtype: 'float32', dims: [1] }],
    values: new Map(),
    opsets: new Map([['', 17]]),
    metadata: new Map(),
  })

/** The operators of a network at the sizes that pruning can give them, each once; `round` as the ladder's. */
export function operatorsOf(coupling: Coupling, round: number): Subject[] {
  const levels = coupling.groups.map((group) => {
    const rungs = ladder(group, round)
    const at = (i: number) => rungs[Math.round((i * (rungs.length - 1)) / (LEVELS - 1))]
    return Array.from({ length: LEVELS }, (_, i) => at(i))
  })
  const found = new Map<string, Subject>()
  for (let i = 0; i < LEVELS; i++)
    for (let j = 0; j < LEVELS; j++) {
      const removed = coupling.groups.flatMap((group, g): readonly Unit[] =>
        group.units.slice(levels[g][(i + g * j) % LEVELS]),
      )
      collect(coupling, removed, found)
    }
  return [...found.values()]
}

function collect(coupling: Coupling, removed: readonly Unit[], found: Map<string, Subject>): void {
  const graph = removeUnits(coupling, removed)
  const all = coupling.dims(removed)
  const rewritten = new Map([...constants(graph)].map(([name, t]) => [name, t.dims]))
  const dims = (name: string | undefined) => (name ? (rewritten.get(name) ?? all.get(name)) : undefined) ?? []
  for (const n of graph.nodes) {
    if (
      isFused(graph, n) ||
      n.inputs.some((name) => coupling.shapes.integers.has(name) && !graph.constant(name))
    )
      continue
    const sizes = sizesOf(coupling, n, dims)
    const kind = kindOf(n)
    const key = createHash('sha256')
      .update(JSON.stringify([n.op, kind, sizes]))
      .digest('hex')
    if (found.has(key)) continue
    const alone = single(graph, n, sizes)
    if (alone) found.set(key, { op: n.op, kind, dims: sizes, graph: alone })
  }
}
