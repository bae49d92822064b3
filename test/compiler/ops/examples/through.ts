import type { Graph } from '@espalier/server/compiler/graph/index.js'
import { Net } from '../../../zoo/index.js'

export const CHANNELS = 6
export const SIZE = 4

export interface Example {
  readonly graph: Graph
  /** Whether the channels that go into the operator can be pruned. */
  readonly open: boolean
  /** How many units each group has, ascending, where that is what the example is about. */
  readonly groups?: readonly number[]
}

/** A convolution's channels, bent so that they are not negative, through the operator, into another convolution. */
export function through(
  rule: (n: Net, h: string) => string,
  { opset = 17, channels = CHANNELS, open = true } = {},
): Example {
  const n = new Net('through', opset)
  const h = n.op('Relu', [n.conv(n.input('x', ['n', 3, SIZE, SIZE]), 3, CHANNELS)])
  return { graph: n.build(n.head(n.conv(rule(n, h), channels, 4, { k: 1 }), 4)), open }
}

/** Sizes of groups with that of the convolution after the operator. */
export const withChannelsAfter = (groups: readonly number[]): readonly number[] =>
  [...groups, 4].sort((a, b) => a - b)

/** The same with channels last: h is [n, SIZE, SIZE, CHANNELS]. */
export const channelsLast = (
  rule: (n: Net, h: string) => string,
  options: { opset?: number; channels?: number; open?: boolean } = {},
): Example =>
  through((n, h) => {
    const y = rule(n, n.op('Transpose', [h], { perm: [0, 2, 3, 1] }))
    return n.op('Transpose', [y], { perm: [0, 3, 1, 2] })
  }, options)

/** The same as a sequence: h is [n, SIZE · SIZE, CHANNELS]. */
export const sequence = (
  rule: (n: Net, h: string) => string,
  options: { opset?: number; channels?: number; open?: boolean } = {},
): Example =>
  through((n, h) => {
    const rows = n.op('Transpose', [n.op('Reshape', [h, n.ints([0, 0, -1])])], { perm: [0, 2, 1] })
    const y = n.op('Transpose', [rule(n, rows)], { perm: [0, 2, 1] })
    return n.op('Reshape', [y, n.ints([0, 0, SIZE, SIZE])])
  }, options)

export const map = (op: string, opset = 17, attributes = {}, open = true, domain = '') =>
  through((n, h) => n.op(op, [h], attributes, domain), { opset, open })
export const withOther = (op: string) =>
  through((n, h) => n.op(op, [h, n.weight([1, CHANNELS, 1, 1], { around: 2 })]))
export const compared = (op: string) =>
  through((n, h) => n.op('Mul', [h, n.op('Cast', [n.op(op, [h, n.weight([CHANNELS, 1, 1])])], { to: 1 })]))
export const logic = (op: string) =>
  through((n, h) => {
    const yes = (x: string) => n.op('Greater', [x, n.scalar(0.3)])
    return n.op('Cast', [n.op(op, [yes(h), yes(n.op('Sin', [h]))])], { to: 1 })
  })
export const reduced = (op: string, axes: readonly number[], open: boolean, opset = 17) =>
  through(
    (n, h) => {
      const y =
        op === 'ReduceSum' ? n.op(op, [h, n.ints(axes)]) : n.op(op, [n.op('Add', [h, n.scalar(1)])], { axes })
      return axes[0] === 1 ? n.op('Mul', [h, y]) : y
    },
    { open, opset },
  )

/** Examples by operator; those of other domains as `domain.operator`. */
export type Examples = Readonly<Record<string, readonly Example[]>>
