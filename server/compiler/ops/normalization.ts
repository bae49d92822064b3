import { intAttribute } from '../graph/index.js'
import {
  type Axis,
  defineOp,
  type FlowContext,
  MICROSOFT,
  noMacs,
  one,
  positive,
  withZero,
} from './define.js'
import { broadcast } from './elementwise.js'
import { atFullSize } from './full-size.js'

/** x[N,C,…] with scale, shift, mean and variance [C]. */
export const batchNormalization = defineOp({
  op: 'BatchNormalization',
  flow(f) {
    if (intAttribute(f.node, 'training_mode', 0) === 1) f.decline('it is in training mode')
    if (f.opset < 9 && intAttribute(f.node, 'spatial', 1) === 0) f.decline('it normalises each position')
    const axes = f.axes(0)
    return [{ axes: perChannel(f, axes, [1, 2, 3, 4]) }]
  },
  macs: noMacs,
})

/** Each channel of each sample by itself: x[N,C,…], scale and shift [C]. */
export const instanceNormalization = defineOp({
  op: 'InstanceNormalization',
  flow(f) {
    const axes = f.axes(0)
    f.freeze(axes.slice(2), 'statistics are taken over it')
    return [{ axes: perChannel(f, axes, [1, 2]) }]
  },
  macs: noMacs,
})

/** Joins the parameters [C] to x's channels; inputs 1 and 2, scale and shift, decide what is zero. */
function perChannel(f: FlowContext, axes: readonly Axis[], parameters: readonly number[]): Axis[] {
  for (const i of parameters) f.same(axes[1], f.axes(i)[0])
  const zero = f.axes(1)[0].zero && f.axes(2)[0].zero
  return axes.map((a, i) => withZero(a, i === 1 && zero))
}

/**
 * x[N,C,…]: statistics over each of `num_groups` groups of channels, so that channels go by whole groups. Scale and
 * shift are [num_groups] before opset 21, [C] since.
 */
export const groupNormalization = defineOp({
  op: 'GroupNormalization',
  flow(f) {
    const [n, c, ...positions] = f.axes(0)
    const count = intAttribute(f.node, 'num_groups', 1)
    const [groups, within] = f.split(c, [count, c.atoms.length / count])
    f.freeze([within, ...positions], 'a group takes its statistics over it')
    for (const i of [1, 2]) f.same(f.opset < 21 ? groups : c, f.axes(i)[0])
    f.onPrune((kept, node) => node.attribute('num_groups', kept.count(groups)))
    const zero = f.axes(1)[0].zero && f.axes(2)[0].zero
    return [{ axes: [withZero(n, false), withZero(c, zero), ...positions.map((a) => withZero(a, false))] }]
  },
  macs: noMacs,
})

/**
 * y = (x + skips) normalised over the axes from `axis` on, times a scale, plus a shift. Statistics are divided by
 * how many there are, so exact zeros among them change it: they are put back where x's last axis is the only one,
 * and elsewhere those axes stay whole.
 */
const layerNorm = (op: string, skips: readonly number[], domain = '') =>
  defineOp({
    op,
    domain,
    flow(f) {
      const added = [0, ...skips].filter((i) => f.inputs[i]).map((i) => f.axes(i))
      const axes = broadcast(f, added, 'all')
      const first = positive(intAttribute(f.node, 'axis', -1), axes.length)
      const parameters = f.inputs.flatMap((v, i) => (v && i > 0 && !skips.includes(i) ? v.axes : []))
      const last = axes[axes.length - 1]
      const refilled =
        first === axes.length - 1 &&
        skips.length === 0 &&
        last.zero &&
        parameters.length === f.inputs.length - 1 &&
        !f.node.outputs.some((o, i) => i > 0 && o !== '')
      if (refilled) refill(f, last, axes.length)
      else f.freeze([...axes.slice(first), ...parameters], 'a normalisation takes its statistics over it')
      const y = axes.map((a, i) => withZero(a, refilled && i === first && parameters.every((p) => p.zero)))
      const statistics = y.map((a, i) => (i < first ? a : one(f)))
      return f.node.outputs.map((_, i) => ({ axes: i === 0 ? y : i === 3 ? axes : statistics }))
    },
    macs: noMacs,
  })

/** Lets indices of `last` go, of which x is zero; scale and shift [C] lose them too. */
function refill(f: FlowContext, last: Axis, rank: number): void {
  const ranks = new Map(f.inputs.map((_, i) => [i, i === 0 ? rank : 1]))
  for (const i of ranks.keys()) if (i > 0) f.same(last, f.axes(i)[0])
  f.onPrune((kept, node) => {
    const [stays, size] = [kept.count(last), last.atoms.length]
    if (stays < size) node.replace((n) => atFullSize(n, ranks, stays, size))
  })
}

export const layerNorms = [
  layerNorm('LayerNormalization', []),
  layerNorm('RMSNormalization', []),
  layerNorm('SimplifiedLayerNormalization', []),
  layerNorm('SkipLayerNormalization', [1, 4], MICROSOFT),
  layerNorm('SkipSimplifiedLayerNormalization', [1, 3], MICROSOFT),
]
