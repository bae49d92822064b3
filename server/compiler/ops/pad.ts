import { floatAttribute, int64s, intsAttribute, numbersOf, stringAttribute } from '../graph/index.js'
import { type Axis, defineOp, type FlowContext, type Kept, noMacs, positive, withZero } from './define.js'

/** Adds indices at both ends. A padded axis that is pruned pads by what stays of the added ones. */
export const pad = defineOp({
  op: 'Pad',
  flow(f) {
    const before = f.axes(0)
    const rank = before.length
    const amounts = f.opset < 11 ? intsAttribute(f.node, 'pads') : f.integers(1)
    if (!amounts) return f.decline('its amounts are not known')
    const given = f.node.inputs[3] ? f.integers(3) : undefined
    const padded = (given ?? [...before.keys()]).map((a) => positive(a, rank))
    const constantMode = stringAttribute(f.node, 'mode', 'constant') === 'constant'
    const zero = constantMode && padValue(f) === 0
    const axes = [...before]
    const ends: { k: number; added: Axis }[] = []
    padded.forEach((axis, k) => {
      const [start, end] = [amounts[k], amounts[k + padded.length]]
      if (start === 0 && end === 0) return
      const editable = f.opset < 11 || f.constant(1) !== undefined
      if (start < 0 || end < 0 || !constantMode || !editable) {
        f.freeze(before[axis], 'it is padded by what pruning cannot follow')
        axes[axis] = f.fixed(f.outputDims()[axis], 'a padded dimension')
        return
      }
      const [first, last] = [f.fresh(start, zero), f.fresh(end, zero)]
      ends.push({ k, added: first }, { k: k + padded.length, added: last })
      axes[axis] = f.concat([first, before[axis], last])
    })
    // Padding elsewhere writes its value at a removed index too.
    const filled = ends.length > 0 && !zero
    f.onPrune((kept, node) => writeAmounts(f, amounts, ends, kept, node))
    return [{ axes: filled ? axes.map((a) => withZero(a, false)) : axes }]
  },
  macs: noMacs,
})

function writeAmounts(
  f: FlowContext,
  amounts: readonly number[],
  ends: readonly { k: number; added: Axis }[],
  kept: Kept,
  node: Parameters<Parameters<FlowContext['onPrune']>[0]>[1],
): void {
  const now = [...amounts]
  for (const { k, added } of ends) now[k] = kept.count(added)
  if (now.every((v, k) => v === amounts[k])) return
  if (f.opset < 11) node.attribute('pads', now)
  else node.input(1, int64s(now))
}

function padValue(f: FlowContext): number {
  if (f.opset < 11) return floatAttribute(f.node, 'value', 0)
  if (!f.node.inputs[2]) return 0
  const value = f.constant(2)
  return value ? numbersOf(value)[0] : Number.NaN
}
