import type { OperatorTime, OperatorTimes } from '@espalier/shared/measure/index.js'
import type { Coupling } from '../analysis/index.js'
import type { LatencyModel } from '../budget/index.js'
import type { Node } from '../graph/index.js'
import { isFused, kindOf, sizesOf } from './single.js'

/** An operator's sizes and times as a search sees them. */
interface Known {
  readonly sizes: readonly number[]
  readonly work: number
  readonly ms: number
}

const NEAREST = 4

/**
 * How long a network takes, from times of its operators: one that was measured at these very sizes takes what it took
 * (HALP looks up a table, too), another what its nearest relatives take for as much work. The sum is scaled to whole
 * networks, since inside one operators are fused and layouts kept.
 */
export function latencyModel(times: OperatorTimes, coupling: Coupling): LatencyModel {
  const byKind = new Map<string, Known[]>()
  const byOp = new Map<string, Known[]>()
  for (const t of times.operators) {
    const known = { sizes: t.dims.flat(), work: workOf(t), ms: t.ms }
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
      const ms = times.scale * estimate(sizes.flat(), workOf({ op: node.op, dims: sizes }), relatives)
      seen.set(key, ms)
      return ms
    },
  }
}

/** Multiply–accumulates of what contracts, else the numbers that are read and written. */
function workOf({ op, dims }: Pick<OperatorTime, 'op' | 'dims'>): number {
  const count = (d: readonly number[]) => d.reduce((n, s) => n * s, 1)
  const out = dims[dims.length - 1]
  const [x, w] = dims
  if (op === 'Conv') return Math.max(1, (count(out) * count(w)) / Math.max(1, w[0]))
  if (op === 'ConvTranspose') return Math.max(1, (count(x) * count(w)) / Math.max(1, w[0]))
  if (op === 'Gemm' || op === 'MatMul') return Math.max(1, count(out) * (x.at(-1) ?? 1))
  return Math.max(
    1,
    dims.reduce((n, d) => n + count(d), 0),
  )
}

/** Time for this much work at the rate of the nearest relatives, by the ratios of their sizes. */
function estimate(sizes: readonly number[], work: number, relatives: readonly Known[]): number {
  const near = relatives
    .filter((r) => r.sizes.length === sizes.length)
    .map((r) => ({
      ...r,
      far: r.sizes.reduce((d, s, i) => d + Math.log(Math.max(1, s) / Math.max(1, sizes[i])) ** 2, 0),
    }))
    .sort((a, b) => a.far - b.far)
    .slice(0, NEAREST)
  if (near.length === 0) return 0
  if (near[0].far === 0) return near[0].ms
  const weights = near.map((r) => 1 / r.far)
  const total = weights.reduce((sum, w) => sum + w, 0)
  return near.reduce((sum, r, i) => sum + (weights[i] / total) * (r.ms / r.work) * work, 0)
}
