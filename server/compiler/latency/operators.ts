import { createHash } from 'node:crypto'
import { type Coupling, constants, type Group, type Unit } from '../analysis/index.js'
import { ladder } from '../budget/index.js'
import type { Graph } from '../graph/index.js'
import { removeUnits } from '../surgery/index.js'
import { isFused, kindOf, single, sizesOf } from './single.js'

/** One operator at one set of sizes, as a graph that can be measured. */
export interface Subject {
  readonly op: string
  readonly kind: string
  readonly dims: number[][]
  readonly graph: Graph
}

/** Each group is looked at with so many counts of units at most; primes, so that two groups meet in all combinations. */
const LEVELS = [13, 11, 7, 5]
/** So many sizes of operators at most, as far as fewer counts can do it. */
const MOST = 8000

/** The operators of a network at the sizes that pruning can give them, each once; `round` as the ladder's. */
export function operatorsOf(coupling: Coupling, round: number): Subject[] {
  const counts = Math.max(1, ...coupling.groups.map((group) => ladder(group, round).length))
  const few = LEVELS.filter((n) => n * n * coupling.graph.nodes.length <= MOST)
  const levels = few.findLast((n) => n >= counts) ?? few[0] ?? LEVELS[LEVELS.length - 1]
  const rungs = coupling.groups.map((group) => looked(group, round, levels))
  const found = new Map<string, Subject>()
  for (let i = 0; i < levels; i++)
    for (let j = 0; j < levels; j++) {
      const removed = coupling.groups.flatMap((group, g): readonly Unit[] =>
        group.units.slice(rungs[g][((i + g * j) % levels) % rungs[g].length]),
      )
      collect(coupling, removed, found)
    }
  return [...found.values()]
}

/**
 * Counts of units of a group that are looked at: all that may be kept where they are few, else multiples of larger
 * steps; of what is still too many, halves down to one, some.
 */
export function looked(group: Group, round: number, levels: number): readonly number[] {
  const rungs = ladder(group, round)
  if (rungs.length <= levels) return rungs
  if (round < group.units.length) return looked(group, 2 * round, levels)
  return Array.from({ length: levels }, (_, i) => rungs[Math.round((i * (rungs.length - 1)) / (levels - 1))])
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
