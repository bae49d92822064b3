import { intAttribute } from '../graph/index.js'
import { type Axis, defineOp, type FlowContext, product } from './define.js'

/** x[N,C,…] ∗ w[O,C/g,…] + b[O] → y[N,O,…]. Groups are factors of C and of O; a depthwise kernel has C groups of one. */
export const conv = defineOp({
  op: 'Conv',
  flow(f) {
    const [n, c] = f.axes(0)
    const [o, perGroup] = f.axes(1)
    const groups = intAttribute(f.node, 'group', 1)
    const outer = grouped(f, groups, c, o)
    contract(f, outer.inputs, perGroup)
    return [{ axes: [n, withBias(f, o), ...spatial(f)] }]
  },
  macs: (c) => product(c.outputDims()) * product(c.inputDims(1).slice(1)),
})

/** x[N,C,…] ∗ᵀ w[C,O/g,…] + b[O] → y[N,O,…]. */
export const convTranspose = defineOp({
  op: 'ConvTranspose',
  flow(f) {
    const [n, c] = f.axes(0)
    const [wc, perGroup] = f.axes(1)
    const groups = intAttribute(f.node, 'group', 1)
    contract(f, c, wc)
    if (groups === 1) return [{ axes: [n, withBias(f, perGroup), ...spatial(f)] }]
    const [g] = f.split(c, [groups, c.atoms.length / groups])
    f.onPrune((kept, node) => node.attribute('group', kept.count(g)))
    return [{ axes: [n, withBias(f, f.merge([g, perGroup])), ...spatial(f)] }]
  },
  macs: (c) => product(c.inputDims(0)) * product(c.inputDims(1).slice(1)),
})

/** Splits input and output channels by group and ties the groups; gives the channels within a group. */
function grouped(f: FlowContext, groups: number, c: Axis, o: Axis): { inputs: Axis } {
  if (groups === 1) return { inputs: c }
  const [gc, inputs] = f.split(c, [groups, c.atoms.length / groups])
  const [go] = f.split(o, [groups, o.atoms.length / groups])
  f.same(gc, go)
  f.onPrune((kept, node) => node.attribute('group', kept.count(gc)))
  return { inputs }
}

/** Joins contracted axes. One side must be exactly zero where an index goes, or the sum would change. */
export function contract(f: FlowContext, a: Axis, b: Axis): void {
  f.same(a, b)
  if (!a.zero && !b.zero) f.freeze(a, 'a sum over it would change: neither factor is zero where it goes')
}

function withBias(f: FlowContext, channels: Axis): Axis {
  if (!f.inputs[2]) return channels
  const [b] = f.axes(2)
  f.same(channels, b)
  return { atoms: channels.atoms, zero: channels.zero && b.zero }
}

const spatial = (f: FlowContext): Axis[] => {
  for (const i of [0, 1]) for (const a of f.axes(i).slice(2)) f.freeze(a, 'a convolution mixes positions')
  return f
    .outputDims()
    .slice(2)
    .map((size) => f.fixed(size, 'positions of a convolution'))
}
