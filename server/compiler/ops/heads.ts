import { floatAttribute } from '../graph/index.js'
import { contract } from './conv.js'
import { type Axis, type FlowContext, type Flowing, withZero } from './define.js'

/** Queries, keys or values: [N, heads, T, width]. */
export interface Headed {
  readonly n: Axis
  readonly heads: Axis
  readonly t: Axis
  readonly width: Axis
}

export const fourth = ([n, heads, t, width]: readonly Axis[]): Headed => ({ n, heads, t, width })

/** [N, T, heads · width] by heads. */
export function byHead(f: FlowContext, [n, t]: readonly Axis[], hidden: Axis, count: number): Headed {
  const [heads, width] = f.split(hidden, [count, hidden.atoms.length / count])
  return { n, heads, t, width }
}

/**
 * softmax(q·kᵀ/√width)·v by heads; several heads of queries may share one of keys and values. Heads go whole; where
 * they are shared, queries go evenly within each. A width of queries and keys is contracted, one of values goes by
 * itself, and √width keeps to the width that the network was trained with.
 */
export function attend(f: FlowContext, q: Headed, k: Headed, v: Headed): Headed {
  for (const other of [k, v]) f.same(q.n, other.n)
  f.freeze([q.t, k.t, v.t], 'attention mixes positions')
  const shared = k.heads.atoms.length
  const grouped = shared !== q.heads.atoms.length
  const [first] = grouped ? f.split(q.heads, [shared, q.heads.atoms.length / shared]) : [q.heads]
  f.same(first, k.heads)
  f.same(k.heads, v.heads)
  contract(f, q.width, k.width)
  const trained = q.width.atoms.length
  f.onPrune((kept, node) => {
    const pinned = floatAttribute(f.node, 'scale', 0) !== 0 || kept.count(q.width) === trained
    if (!pinned) node.attribute('scale', 1 / Math.sqrt(trained))
  })
  return { n: q.n, heads: withZero(q.heads, v.heads.zero && !grouped), t: q.t, width: v.width }
}

/** A cache of earlier keys or values, [N, heads, T, width], joined to those of now; gives what both hold. */
export function withPast(f: FlowContext, now: Headed, input: number): Headed {
  if (!f.inputs[input]) return now
  const past = fourth(f.axes(input))
  for (const side of ['n', 'heads', 'width'] as const) f.same(now[side], past[side])
  f.freeze([now.t, past.t], 'attention mixes positions')
  const both = (side: 'heads' | 'width') => withZero(now[side], now[side].zero && past[side].zero)
  return { ...now, heads: both('heads'), width: both('width') }
}

/** A mask or bias broadcast to [N, heads, T, T]. */
export function masked(f: FlowContext, input: number, { n, heads }: Headed): void {
  const axes = f.inputs[input]?.axes ?? []
  f.freeze(axes.slice(-2), 'attention mixes positions')
  const joined = [axes.at(-3), axes.at(-4)]
  for (const [i, own] of [heads, n].entries()) {
    const a = joined[i]
    if (a && a.atoms.length > 1) f.same(own, a)
  }
}

export const positions = (f: FlowContext, size: number) => f.fixed(size, 'positions of attention')

export const merged = (f: FlowContext, y: Headed): Flowing => ({
  axes: [y.n, y.t, f.merge([y.heads, y.width])],
})

/** What a cache will hold, as output `i`. */
export const present = (f: FlowContext, { n, heads, width }: Headed, i: number): Flowing => ({
  axes: [n, heads, positions(f, f.outputDims(i)[2]), width],
})

export const scores = (f: FlowContext, { n, heads }: Headed): Flowing => ({
  axes: [
    n,
    withZero(heads, false),
    ...f
      .outputDims(3)
      .slice(2)
      .map((s) => positions(f, s)),
  ],
})

export const only = (f: FlowContext, makers: readonly (() => Flowing)[]): Flowing[] =>
  makers.slice(0, f.node.outputs.length).map((make, i) => (f.node.outputs[i] ? make() : { axes: [] }))

/** q·kᵀ and weights·v, each N · heads · T · T · width. */
export const attentionMacs = (queries: number, hidden: number, keys: number) => 2 * queries * hidden * keys

/** The parts of a joint axis, one after the other. */
export function parts(f: FlowContext, joint: Axis, sizes: readonly number[]): Axis[] {
  let start = 0
  return sizes.map((size) => {
    const from = start
    start += size
    return f.pick(
      joint,
      Array.from({ length: size }, (_, i) => from + i),
    )
  })
}

export const plus = (f: FlowContext, a: Axis, bias: Axis): Axis => {
  f.same(a, bias)
  return withZero(a, a.zero && bias.zero)
}
