import { type Node, stringAttribute } from '../graph/index.js'
import { type Axis, defineOp, one, product, withZero } from './define.js'

interface Labels {
  /** One label a dimension, operand by operand. */
  readonly operands: readonly (readonly string[])[]
  readonly result: readonly string[]
}

/** The equation's labels for operands of these ranks; the dimensions of an ellipsis are labelled from the last on. */
function labelsOf(node: Node, ranks: readonly number[]): Labels {
  const [left, right] = stringAttribute(node, 'equation', '').replace(/\s/g, '').split('->')
  const terms = left.split(',')
  const widths = terms.map((term, i) => (term.includes('...') ? ranks[i] - term.length + 3 : 0))
  const ellipsis = (width: number) => Array.from({ length: width }, (_, i) => `…${width - i}`)
  const spelled = (term: string, width: number) =>
    [...term.replace('...', '.')].flatMap((label) => (label === '.' ? ellipsis(width) : [label]))
  const operands = terms.map((term, i) => spelled(term, widths[i]))
  const widest = Math.max(...widths)
  if (right !== undefined) return { operands, result: spelled(right, widest) }
  const letters = [...left.replace(/[.,]/g, '')].sort()
  const once = letters.filter((l) => letters.indexOf(l) === letters.lastIndexOf(l))
  return { operands, result: [...ellipsis(widest), ...once] }
}

/** Sums of products over labelled dimensions: equal labels are one axis, those that the result lacks are contracted. */
export const einsum = defineOp({
  op: 'Einsum',
  flow(f) {
    const inputs = f.inputs.map((_, i) => f.axes(i))
    const { operands, result } = labelsOf(
      f.node,
      inputs.map((axes) => axes.length),
    )
    const known = new Map<string, Axis>()
    operands.forEach((labels, i) => {
      labels.forEach((label, d) => {
        const axis = inputs[i][d]
        if (axis.atoms.length === 1) return
        const before = known.get(label)
        if (before) f.same(before, axis)
        known.set(label, before ? withZero(before, before.zero || axis.zero) : axis)
      })
    })
    for (const [label, axis] of known) {
      if (!result.includes(label) && !axis.zero)
        f.freeze(axis, 'a sum over it would change: no factor is zero where it goes')
    }
    return [{ axes: result.map((label) => known.get(label) ?? one(f)) }]
  },
  macs: (c) => {
    const dims = c.node.inputs.map((_, i) => c.inputDims(i))
    const { operands } = labelsOf(
      c.node,
      dims.map((d) => d.length),
    )
    const sizes = new Map<string, number>()
    operands.forEach((labels, i) => {
      labels.forEach((label, d) => {
        sizes.set(label, Math.max(sizes.get(label) ?? 1, dims[i][d]))
      })
    })
    return product([...sizes.values()]) * (operands.length - 1)
  },
})
