import { intAttribute, stringAttribute } from '../graph/index.js'
import { keepsZero } from './activation.js'
import { type Axis, defineOp, type FlowContext, MICROSOFT, product, withZero } from './define.js'
import { broadcast } from './elementwise.js'

/**
 * x[N,C,…] ∗ w[O,C/g,…] + b[O] → y[N,O,…]. Groups are factors of C and of O; a depthwise kernel has C groups of one.
 * The fused one adds an input of y's shape and bends what it gives.
 */
const convolution = (op: string, domain = '') =>
  defineOp({
    op,
    domain,
    flow(f) {
      const [n] = f.axes(0)
      const y = [n, withBias(f, channels(f)), ...spatial(f)]
      const sum = f.inputs[3] ? broadcast(f, [y, f.axes(3)], 'all') : y
      const bent = keepsZero(stringAttribute(f.node, 'activation', ''))
      return [{ axes: sum.map((a) => withZero(a, a.zero && bent)) }]
    },
    macs: (c) => product(c.outputDims()) * product(c.inputDims(1).slice(1)),
  })

export const convolutions = [convolution('Conv'), convolution('FusedConv', MICROSOFT)]

/** A convolution that reads at places moved by offset[N,…], times mask[N,…], positions all of them. */
export const deformConv = defineOp({
  op: 'DeformConv',
  flow(f) {
    const [n] = f.axes(0)
    const moved = [2, 4].flatMap((i) => f.inputs[i]?.axes.slice(1) ?? [])
    f.freeze(moved, 'it moves the positions of a convolution')
    const groups = intAttribute(f.node, 'offset_group', 1)
    if (groups > 1) f.decline('groups of channels have offsets of their own')
    const o = channels(f)
    return [{ axes: [n, withBias(f, o, 3), ...spatial(f)] }]
  },
  macs: (c) => product(c.outputDims()) * product(c.inputDims(1).slice(1)),
})

/** Contracts x[N,C,…] with w[O,C/g,…] by groups; gives the channels that come out. */
function channels(f: FlowContext): Axis {
  const [, c] = f.axes(0)
  const [o, perGroup] = f.axes(1)
  contract(f, grouped(f, intAttribute(f.node, 'group', 1), c, o), perGroup)
  return o
}

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
function grouped(f: FlowContext, groups: number, c: Axis, o: Axis): Axis {
  if (groups === 1) return c
  const [gc, inputs] = f.split(c, [groups, c.atoms.length / groups])
  const [go] = f.split(o, [groups, o.atoms.length / groups])
  f.same(gc, go)
  f.onPrune((kept, node) => node.attribute('group', kept.count(gc)))
  return inputs
}

/** Joins contracted axes. One side must be exactly zero where an index goes, or the sum would change. */
export function contract(f: FlowContext, a: Axis, b: Axis): void {
  f.same(a, b)
  if (!a.zero && !b.zero) f.freeze(a, 'a sum over it would change: neither factor is zero where it goes')
}

function withBias(f: FlowContext, channels: Axis, input = 2): Axis {
  if (!f.inputs[input]) return channels
  const [b] = f.axes(input)
  f.same(channels, b)
  return withZero(channels, channels.zero && b.zero)
}

function spatial(f: FlowContext): Axis[] {
  for (const i of [0, 1]) f.freeze(f.axes(i).slice(2), 'a convolution mixes positions')
  return f
    .outputDims()
    .slice(2)
    .map((size) => f.fixed(size, 'positions of a convolution'))
}
