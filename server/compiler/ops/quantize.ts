import { intAttribute, numbersOf } from '../graph/index.js'
import {
  type Axis,
  defineOp,
  type FlowContext,
  type Flowing,
  MICROSOFT,
  noMacs,
  positive,
  type Rest,
  withZero,
} from './define.js'

/** The one zero point that input `i` holds, 0 if it is absent; the value's name where it is computed. */
export function zeroPointOf(f: FlowContext, i: number): Rest['at'] | undefined {
  if (!f.node.inputs[i]) return 0
  const constant = f.constant(i)
  if (!constant) return f.node.inputs[i]
  const [first, ...others] = numbersOf(constant)
  return others.every((v) => v === first) ? first : undefined
}

/** Where an operand's scale and zero point are, one or one an index of `axis`; −1 for a scale that is not given. */
export interface Scheme {
  readonly scale: number
  readonly point: number
  readonly axis: number
}

/**
 * The axes of quantised input `i` as what they mean: `zero` where removed indices hold the zero point. Constants are
 * zeroed to it.
 */
export function meant(f: FlowContext, i: number, { scale, point, axis }: Scheme): readonly Axis[] {
  const axes = f.axes(i)
  if (f.constant(i)) {
    const [step, rest] = [scale, point].map((k) => f.node.inputs[k] || undefined)
    if (rest !== undefined && !f.constant(point)) return axes.map((a) => withZero(a, false))
    f.quantised(i, { scale: f.constant(scale) && step, point: rest, axis })
    return axes
  }
  const rest = f.inputs[i]?.rest
  const agrees = rest !== undefined && rest.at === zeroPointOf(f, point)
  return axes.map((a, d) => withZero(a, agrees && rest.along[d]))
}

/** A quantised result: at its zero point, input `point`, where the real one is zero. */
export function quantised(f: FlowContext, axes: readonly Axis[], point: number): Flowing {
  const at = zeroPointOf(f, point)
  const rest: Rest | undefined = at === undefined ? undefined : { at, along: axes.map((a) => a.zero) }
  return { axes: axes.map((a) => withZero(a, a.zero && at === 0)), rest }
}

/**
 * Scales and zero points, one or one an index of `axis`, go with their indices. They are never zeroed: x / 0 is not
 * finite, and a zero point is what zero is.
 */
export function scaled(f: FlowContext, axis: Axis | undefined, inputs: readonly number[]): void {
  for (const i of inputs) {
    const own = f.inputs[i]?.axes[0]
    if (!own) continue
    f.neverZero(i)
    if (own.atoms.length === 1) continue
    if (axis && f.axes(i).length === 1) f.same(axis, own)
    else f.decline('it is quantised in blocks')
  }
}

/** Per tensor or per index of `axis`. */
const linear = (op: string, domain: string, result: (f: FlowContext, axis: number) => Flowing) =>
  defineOp({
    op,
    domain,
    weights: [0, 2],
    flow(f) {
      const x = f.axes(0)
      const axis = positive(intAttribute(f.node, 'axis', 1), x.length)
      scaled(f, x[axis], [1, 2])
      return [result(f, axis)]
    },
    macs: noMacs,
  })

/** ONNX's own, and onnxruntime's for 4 and 16 bits in opsets that lack them. */
export const linearQuantisation = ['', MICROSOFT].flatMap((domain) => [
  linear('QuantizeLinear', domain, (f) => quantised(f, f.axes(0), 2)),
  linear('DequantizeLinear', domain, (f, axis) => ({
    axes: meant(f, 0, { scale: 1, point: 2, axis }),
  })),
])

/** To uint8, by the range of all elements and zero: exact zeros do not widen it, other removed elements might. */
export const dynamicQuantizeLinear = defineOp({
  op: 'DynamicQuantizeLinear',
  flow(f) {
    const axes = f.axes(0)
    f.freeze(
      axes.filter((a) => !a.zero),
      'its range is that of all elements',
    )
    const rest: Rest = { at: f.node.outputs[2], along: axes.map((a) => a.zero) }
    return [{ axes: axes.map((a) => withZero(a, false)), rest }, { axes: [] }, { axes: [] }]
  },
  macs: noMacs,
})
