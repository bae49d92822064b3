import { intAttribute } from '../graph/index.js'
import { type Axis, defineOp, type FlowContext, noMacs, positive } from './define.js'

/** x[N,C,…] with scale, shift, mean and variance [C]. */
export const batchNormalization = defineOp({
  op: 'BatchNormalization',
  flow(f) {
    if (intAttribute(f.node, 'training_mode', 0) === 1) f.decline('it is in training mode')
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
    for (const a of axes.slice(2)) f.freeze(a, 'statistics are taken over it')
    return [{ axes: perChannel(f, axes, [1, 2]) }]
  },
  macs: noMacs,
})

/** Joins the parameters [C] to x's channels; inputs 1 and 2, scale and shift, decide what is zero. */
function perChannel(f: FlowContext, axes: readonly Axis[], parameters: readonly number[]): Axis[] {
  const c = axes[1]
  for (const i of parameters) f.same(c, f.axes(i)[0])
  const zero = f.axes(1)[0].zero && f.axes(2)[0].zero
  return axes.map((a, i) => ({ atoms: a.atoms, zero: i === 1 && zero }))
}

/** Statistics over the axes from `axis` on. */
export const layerNormalization = defineOp({
  op: 'LayerNormalization',
  flow(f) {
    const axes = f.axes(0)
    const first = positive(intAttribute(f.node, 'axis', -1), axes.length)
    for (const i of [0, 1, 2]) {
      for (const a of i === 0 ? axes.slice(first) : (f.inputs[i]?.axes ?? []))
        f.freeze(a, 'a normalisation takes its statistics over it')
    }
    const open = axes.map((a) => ({ atoms: a.atoms, zero: false }))
    return f.node.outputs.map((_, i) =>
      i === 0 ? { axes: open } : { axes: open.map((a, d) => (d < first ? a : f.fixed(1, 'a statistic'))) },
    )
  },
  macs: noMacs,
})

/** Neighbouring channels normalise each other. */
export const lrn = defineOp({
  op: 'LRN',
  flow(f) {
    f.freeze(f.axes(0)[1], 'neighbouring channels normalise each other')
    return [{ axes: f.axes(0) }]
  },
  macs: noMacs,
})

/** exp over its sum: along `axis`, or before opset 13 along everything from `axis` on. */
const softmaxLike = (op: string) =>
  defineOp({
    op,
    flow(f) {
      const axes = f.axes(0)
      const axis = positive(intAttribute(f.node, 'axis', f.opset >= 13 ? -1 : 1), axes.length)
      const mixed = f.opset >= 13 ? [axes[axis]] : axes.slice(axis)
      for (const a of mixed) f.freeze(a, `${op} mixes along it`)
      return [{ axes: axes.map((a) => ({ atoms: a.atoms, zero: false })) }]
    },
    macs: noMacs,
  })

export const softmaxes = ['Softmax', 'LogSoftmax', 'Hardmax'].map(softmaxLike)
