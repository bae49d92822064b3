import { intAttribute, intsAttribute } from '../graph/index.js'
import { type Axis, defineOp, type FlowContext, noMacs, one, positive, product, withZero } from './define.js'
import { meanOverAll, sumOverAll } from './full-size.js'

/** Which axes a reduction takes: from an attribute or, since opset 18 (ReduceSum: 13), from an input. */
function reducedAxes(f: FlowContext): Set<number> {
  const rank = f.axes(0).length
  const given = f.node.inputs[1] ? f.integers(1) : intsAttribute(f.node, 'axes')
  if (f.node.inputs[1] && !given) f.decline('the axes it reduces are not known')
  const none = !given || given.length === 0
  if (none && intAttribute(f.node, 'noop_with_empty_axes', 0) === 1) return new Set()
  return new Set(none ? f.axes(0).keys() : given.map((a) => positive(a, rank)))
}

/** Whether the network computes with other floats than float32, so that a number has to be cast to its type. */
const isNarrow = (f: FlowContext) =>
  f.opset >= 15 &&
  [...f.graph.initializers.values()].some((t) => t.dtype !== 'float32' && t.dtype.includes('float'))

/**
 * `sums`: a removed index that is exactly zero adds nothing, if the operator also `divides` only to how many the sum
 * is shared out. Otherwise reducing over it would change the result. Where removed indices are at a known level instead,
 * those sums get back what went.
 */
const reduction = (
  op: string,
  { sums, keepsZero, levels }: { sums: boolean; keepsZero: boolean; levels?: 'mean' | 'sum' },
) =>
  defineOp({
    op,
    flow(f) {
      const axes = f.axes(0)
      const reduced = reducedAxes(f)
      const levelled = levels && levelledAxis(f, reduced)
      for (const i of reduced)
        if (i !== levelled && (!sums || !axes[i].zero)) f.freeze(axes[i], `${op} over it would change`)
      const level = levelled === undefined ? undefined : f.inputs[0]?.levels?.[levelled]
      if (levels === 'mean' || level !== undefined) {
        f.onPrune((kept, node) => {
          const over = [...reduced].map((i) => axes[i])
          const stays = product(over.map((a) => kept.count(a)))
          const size = product(over.map((a) => a.atoms.length))
          if (stays === size) return
          const run = { stays, size, level, castLike: isNarrow(f) }
          node.replace((n) => (levels === 'sum' && level ? sumOverAll(n, level, run) : meanOverAll(n, run)))
        })
      }
      const keep = intAttribute(f.node, 'keepdims', 1) === 1
      const out = axes.flatMap((a, i): Axis[] => {
        if (!reduced.has(i)) return [withZero(a, a.zero && keepsZero)]
        return keep ? [one(f)] : []
      })
      return [{ axes: out }]
    },
    macs: noMacs,
  })

/** The one reduced axis whose removed indices are at a level; none where several are, or others of them are wide. */
function levelledAxis(f: FlowContext, reduced: ReadonlySet<number>): number | undefined {
  const wide = [...reduced].filter((i) => f.axes(0)[i].atoms.length > 1)
  return wide.length === 1 && f.inputs[0]?.levels?.[wide[0]] !== undefined ? wide[0] : undefined
}

export const reductions = [
  reduction('ReduceSum', { sums: true, keepsZero: true, levels: 'sum' }),
  ...['ReduceL1', 'ReduceL2', 'ReduceSumSquare'].map((op) => reduction(op, { sums: true, keepsZero: true })),
  reduction('ReduceMean', { sums: true, keepsZero: true, levels: 'mean' }),
  ...['ReduceMax', 'ReduceMin', 'ReduceProd'].map((op) => reduction(op, { sums: false, keepsZero: true })),
  ...['ReduceLogSum', 'ReduceLogSumExp'].map((op) => reduction(op, { sums: false, keepsZero: false })),
]

const argument = (op: string) =>
  defineOp({
    op,
    flow(f) {
      const axes = f.axes(0)
      const axis = positive(intAttribute(f.node, 'axis', 0), axes.length)
      f.freeze(axes[axis], `${op} counts along it`)
      const keep = intAttribute(f.node, 'keepdims', 1) === 1
      const out = axes.flatMap((a, i): Axis[] => {
        if (i !== axis) return [withZero(a, false)]
        return keep ? [one(f)] : []
      })
      return [{ axes: out }]
    },
    macs: noMacs,
  })

export const argumentsOfExtremes = ['ArgMax', 'ArgMin'].map(argument)
