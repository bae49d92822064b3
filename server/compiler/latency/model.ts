import type { OperatorTimes } from '@espalier/shared/measure/index.js'
import type { Coupling } from '../analysis/index.js'
import type { LatencyModel } from '../budget/index.js'
import type { Node } from '../graph/index.js'
import { isFused, kindOf, sizesOf } from './single.js'
import { distance, type Extent, extentOf } from './sizes.js'

/** An operator's sizes and times as a search sees them. */
interface Known extends Extent {
  readonly ms: number
}

const NEAREST = 4
/** A size that is at most so many times as large may be computed in the same blocks. */
const BLOCK = 1.5

/**
 * How long a network takes, from times of its operators: one that was measured at these very sizes takes what it took
 * (HALP looks up a table, too), another what its nearest relatives take for as much work. The sum is scaled to whole
 * networks, since inside one operators are fused and layouts kept.
 */
export function latencyModel(times: OperatorTimes, coupling: Coupling): LatencyModel {
  const exactly = new Map<string, number>()
  const byKind = new Map<string, Known[]>()
  const byOp = new Map<string, Known[]>()
  for (const t of times.operators) {
    exactly.set(`${t.op} ${t.kind}|${t.dims.join('|')}`, t.ms)
    const known = { ...extentOf(t), ms: t.ms }
    for (const [map, key] of [
      [byKind, `${t.op} ${t.kind}`],
      [byOp, t.op],
    ] as const)
      map.set(key, [...(map.get(key) ?? []), known])
  }
  const kinds = new Map<Node, string | undefined>()
  const seen = new Map<string, number>()
  return {
    queryMs: times.queryMs,
    nodeMs(node, dims) {
      if (!kinds.has(node))
        kinds.set(node, isFused(coupling.graph, node) ? undefined : `${node.op} ${kindOf(node)}`)
      const kind = kinds.get(node)
      if (kind === undefined) return 0
      const sizes = sizesOf(coupling, node, dims)
      const key = `${kind}|${sizes.join('|')}`
      const before = seen.get(key)
      if (before !== undefined) return before
      const relatives = byKind.get(kind) ?? byOp.get(node.op) ?? []
      const ms =
        times.scale * (exactly.get(key) ?? estimate(extentOf({ op: node.op, dims: sizes }), relatives))
      seen.set(key, ms)
      return ms
    },
  }
}

/**
 * Where something a little larger was measured, the time of the next larger, since machines compute whole blocks; else
 * time for this much work at the rate of the nearest relatives.
 */
function estimate(extent: Extent, relatives: readonly Known[]): number {
  const near = relatives.map((r) => ({ ...r, far: distance(r, extent) })).sort((a, b) => a.far - b.far)
  const next = near.find((r) => covers(r, extent))
  if (next) return (next.ms * extent.times) / next.times
  const few = near.slice(0, NEAREST)
  const weights = few.map((r) => 1 / r.far)
  const total = weights.reduce((sum, w) => sum + w, 0)
  return few.reduce((sum, r, i) => sum + (weights[i] / total) * (r.ms / r.work) * extent.work, 0)
}

const covers = (r: Extent, extent: Extent): boolean =>
  r.shape.every((v, i) => v >= extent.shape[i] && v <= BLOCK * extent.shape[i])
