import { intAttribute } from '../graph/index.js'
import { defineOp, type FlowContext, noMacs, positive, withZero } from './define.js'

/**
 * y of x's shape, in which indices along some axes see each other: those stay. The others go through, and keep
 * exact zeros if the operator gives zero where all it sees is zero.
 */
const mixing = (op: string, keepsZero: boolean, mixed: (f: FlowContext, rank: number) => readonly number[]) =>
  defineOp({
    op,
    flow(f) {
      const axes = f.axes(0)
      for (const i of mixed(f, axes.length)) f.freeze(axes[positive(i, axes.length)], `${op} mixes along it`)
      return [{ axes: axes.map((a) => withZero(a, a.zero && keepsZero)) }]
    },
    macs: noMacs,
  })

/** Along `axis`, or before opset 13 along everything from `axis` on. */
function softmaxAxes(f: FlowContext, rank: number): readonly number[] {
  const axis = positive(intAttribute(f.node, 'axis', f.opset >= 13 ? -1 : 1), rank)
  return f.opset >= 13 ? [axis] : Array.from({ length: rank - axis }, (_, i) => axis + i)
}

/** Exponentials over their sum: never zero. */
export const softmaxes = ['Softmax', 'LogSoftmax', 'Hardmax'].map((op) => mixing(op, false, softmaxAxes))

export const positional = [
  mixing('CumProd', false, (f) => f.integers(1) ?? f.decline('its axis is not known')),
  mixing('LRN', true, () => [1]),
  mixing('Trilu', true, () => [-2, -1]),
]

/** Along `axis` only sums of powers are taken, to which exact zeros add nothing. */
const summing = (op: string, axisOf: (f: FlowContext) => number, staysZero: boolean) =>
  defineOp({
    op,
    flow(f) {
      const axes = f.axes(0)
      const axis = positive(axisOf(f), axes.length)
      if (!axes[axis].zero) f.freeze(axes[axis], `${op} along it would change`)
      return [{ axes: axes.map((a, i) => withZero(a, a.zero && (i !== axis || staysZero))) }]
    },
    macs: noMacs,
  })

export const sumsAlong = [
  summing('CumSum', (f) => f.integers(1)?.[0] ?? f.decline('its axis is not known'), false),
  summing('LpNormalization', (f) => intAttribute(f.node, 'axis', -1), true),
]

/** The first positions of each sample, as many as its length says, in the opposite order. */
export const reverseSequence = defineOp({
  op: 'ReverseSequence',
  flow(f) {
    const axes = f.axes(0)
    const time = intAttribute(f.node, 'time_axis', 0)
    f.freeze(axes[time], 'positions are turned around')
    f.same(axes[intAttribute(f.node, 'batch_axis', 1)], f.axes(1)[0])
    return [{ axes }]
  },
  macs: noMacs,
})
