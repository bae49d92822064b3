import { floatAttribute, type Graph, type Node } from '../graph/index.js'
import type { Weights } from './affine.js'
import { type Mixer, unknownsOf } from './mixer.js'
import type { Seen } from './observe.js'
import type { Products } from './products.js'

/** What comes through: all below `low` is as good as `low`, all above `high` as good as `high`. */
export interface Range {
  readonly low: number
  readonly high: number
}

/** What comes through everything that reads a value, where that is Relu or Clip alone; undefined where all may count. */
export function rangeOf(graph: Graph, value: string): Range | undefined {
  const readers = graph.consumers(value)
  if (graph.isOutput(value) || readers.length === 0) return undefined
  const ranges = readers.map((n) => ownRange(graph, n, value))
  const known = ranges.flatMap((r) => r ?? [])
  if (known.length < ranges.length) return undefined
  return {
    low: Math.min(...known.map((r) => r.low)),
    high: Math.max(...known.map((r) => r.high)),
  }
}

function ownRange(graph: Graph, n: Node, value: string): Range | undefined {
  if (n.domain !== '' || n.inputs[0] !== value) return undefined
  if (n.op === 'Relu') return { low: 0, high: Number.POSITIVE_INFINITY }
  if (n.op !== 'Clip') return undefined
  const bound = (i: number, attribute: string, otherwise: number) => {
    const name = n.inputs[i]
    if (!name) return floatAttribute(n, attribute, otherwise)
    const t = graph.constant(name)
    return t === undefined ? undefined : Number(t.data[0])
  }
  const low = bound(1, 'min', Number.NEGATIVE_INFINITY)
  const high = bound(2, 'max', Number.POSITIVE_INFINITY)
  return low === undefined || high === undefined ? undefined : { low, high }
}

const through = ({ low, high }: Range, v: number) => Math.min(high, Math.max(low, v))

/** Mean squared error of what comes through, by output channel, on rows held out. */
export async function errorsThrough(
  now: Mixer,
  weights: Weights,
  seen: readonly Seen[],
  range: Range,
  { apply }: Pick<Products, 'apply'>,
): Promise<Float64Array> {
  const sums = new Float64Array(now.outputs)
  let count = 0
  for (const rows of seen) {
    if (!rows.held) continue
    count += rows.count
    const computed = await outputsOf(now, weights, rows, apply)
    forEach(now, rows, (i, o) => {
      const there = rows.there[i]
      sums[o] += (through(range, rows.y[i] + there) - through(range, computed[i] + there)) ** 2
    })
  }
  return sums.map((s) => s / Math.max(1, count))
}

/** Variance of what comes through of the targets, summed over channels, on rows held out. */
export function varianceThrough(now: Mixer, seen: readonly Seen[], range: Range): number {
  const mean = new Float64Array(now.outputs)
  const square = new Float64Array(now.outputs)
  let count = 0
  for (const rows of seen) {
    if (!rows.held) continue
    count += rows.count
    forEach(now, rows, (i, o) => {
      const v = through(range, rows.y[i] + rows.there[i])
      mean[o] += v
      square[o] += v * v
    })
  }
  return square.reduce((sum, s, o) => sum + s / count - (mean[o] / count) ** 2, 0)
}

/**
 * Σ x·rᵀ over the rows that are fitted to, where r is by how much outputs miss what comes through: beyond the range both
 * ways to miss it count, but not how far beyond a target lies. [blocks, columns + 1, targets]
 */
export async function missedThrough(
  now: Mixer,
  weights: Weights,
  seen: readonly Seen[],
  range: Range,
  { apply, multiply }: Pick<Products, 'apply' | 'multiply'>,
): Promise<Float64Array> {
  const [width, targets] = [unknownsOf(now) + 1, now.outputs / now.blocks]
  const sums = new Float64Array(now.blocks * width * targets)
  for (const rows of seen) {
    if (rows.held) continue
    const missed = await outputsOf(now, weights, rows, apply)
    forEach(now, rows, (i) => {
      const wanted = rows.y[i] + rows.there[i]
      const is = missed[i] + rows.there[i]
      const aimed =
        wanted <= range.low
          ? Math.min(is, range.low)
          : wanted >= range.high
            ? Math.max(is, range.high)
            : wanted
      missed[i] = aimed - is
    })
    const dims = { blocks: now.blocks, rows: rows.count, m: width, n: targets }
    const products = await multiply(rows.x, missed, dims)
    for (let i = 0; i < sums.length; i++) sums[i] += products[i]
  }
  return sums
}

/** What a mixer with these weights adds: [blocks, count, targets]. */
async function outputsOf(
  now: Mixer,
  { rows, bias }: Weights,
  { x, count }: Seen,
  apply: Products['apply'],
): Promise<Float64Array> {
  const columns = unknownsOf(now)
  const targets = now.outputs / now.blocks
  const width = columns + 1
  const matrix = new Float64Array(now.blocks * width * targets)
  for (let o = 0; o < now.outputs; o++) {
    const first = Math.floor(o / targets) * width
    for (let k = 0; k < columns; k++) matrix[(first + k) * targets + (o % targets)] = rows[o * columns + k]
    matrix[(first + columns) * targets + (o % targets)] = bias[o]
  }
  return apply(x, matrix, { blocks: now.blocks, rows: count, m: width, n: targets })
}

/** Every element of [blocks, count, targets], with its output channel. */
function forEach(now: Mixer, { count }: Seen, each: (i: number, output: number) => void): void {
  const targets = now.outputs / now.blocks
  for (let b = 0, i = 0; b < now.blocks; b++)
    for (let r = 0; r < count; r++) for (let t = 0; t < targets; t++, i++) each(i, b * targets + t)
}
