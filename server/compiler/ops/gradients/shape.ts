import { intAttribute, intsAttribute, numbersOf, stringAttribute } from '../../graph/index.js'
import type { GradientRule, GradientRules, Place } from './rule.js'

const reshaped: GradientRule = ({ g, dy, node, shape }) => [g.reshape(dy, shape(node.inputs[0]))]

const transposed: GradientRule = ({ g, dy, node, shape }) => {
  const rank = shape(node.inputs[0]).length
  const perm = intsAttribute(node, 'perm') ?? Array.from({ length: rank }, (_, i) => rank - 1 - i)
  const inverse = perm.map((_, i) => perm.indexOf(i))
  return [g.transpose(dy, inverse)]
}

const concat: GradientRule = (p) => {
  const { g, dy, node } = p
  const dims = p.shape(node.outputs[0])
  const axis = (intAttribute(node, 'axis', 0) + dims.length) % dims.length
  let start = 0
  return node.inputs.map((x, i) => {
    const from = start
    start += p.shape(x)[axis]
    return p.wants(i) ? g.slice(dy, [axis], [from], [start]) : ''
  })
}

/** The given numbers of an operand that must be constant, or undefined if the operand is absent. */
function operand(p: Place, i: number): number[] | undefined {
  const name = p.node.inputs[i]
  const value = name ? p.constant(name) : undefined
  return value && numbersOf(value)
}

/** The border's gradient is dropped; other modes than constant padding are lowered to Gather. */
const pad: GradientRule = (p) => {
  const amounts = operand(p, 1)
  if (!amounts || stringAttribute(p.node, 'mode', 'constant') !== 'constant') return ['']
  const rank = p.shape(p.node.inputs[0]).length
  const axes = operand(p, 3)?.map((a) => (a + rank) % rank) ?? [...Array(rank).keys()]
  const pads = new Array<number>(2 * rank).fill(0)
  for (const [k, axis] of axes.entries()) {
    pads[axis] = -amounts[k]
    pads[rank + axis] = -amounts[axes.length + k]
  }
  return [p.g.pad(p.dy, pads)]
}

/** Puts each element back where it came from, zeros between. Bounds are constant. */
const slice: GradientRule = (p) => {
  const { g } = p
  const dims = p.shape(p.node.inputs[0])
  const starts = operand(p, 1)
  if (!starts) return ['']
  const axes = (operand(p, 3) ?? starts.map((_, i) => i)).map((a) => (a + dims.length) % dims.length)
  const steps = operand(p, 4) ?? starts.map(() => 1)
  const now = [...p.shape(p.node.outputs[0])]
  let dx = p.dy
  for (const [k, axis] of axes.entries()) {
    const [size, count, step] = [dims[axis], now[axis], Math.abs(steps[k])]
    let start = starts[k] < 0 ? starts[k] + size : starts[k]
    if (steps[k] > 0) start = Math.min(Math.max(start, 0), size)
    else {
      // Read backwards: turned, it was read forwards from its last element.
      start = Math.min(start, size - 1) - (count - 1) * step
      dx = g.slice(dx, [axis], [-1], [-(2 ** 31)], [-1])
    }
    if (step > 1) {
      const spread = [...now.slice(0, axis + 1), 1, ...now.slice(axis + 1)]
      const pads = new Array<number>(2 * spread.length).fill(0)
      pads[spread.length + axis + 1] = step - 1
      now[axis] *= step
      dx = g.reshape(g.pad(g.reshape(dx, spread), pads), now)
    }
    const pads = new Array<number>(2 * dims.length).fill(0)
    pads[axis] = start
    pads[dims.length + axis] = size - start - now[axis]
    now[axis] = size
    dx = g.pad(dx, pads)
  }
  return [dx]
}

const split: GradientRule = (p) => {
  const { g, node } = p
  const rank = p.shape(node.inputs[0]).length
  const axis = (intAttribute(node, 'axis', 0) + rank) % rank
  const parts = node.outputs.map((y, i) => {
    if (p.dys[i]) return p.dys[i]
    return g.zeros(p.shape(y))
  })
  return [g.op('Concat', parts, { axis })]
}

/** Copies lie side by side: their gradients add up. */
const tile: GradientRule = ({ g, dy, node, shape }) => {
  const dims = shape(node.inputs[0])
  const output = shape(node.outputs[0])
  const apart = dims.flatMap((d, i) => [d === 0 ? 0 : output[i] / d, d])
  const summed = g.sum(
    g.reshape(dy, apart),
    dims.map((_, i) => 2 * i),
  )
  return [summed]
}

/** CRD keeps the blocks' channels apart from each other outside, DCR inside. */
const depthToSpace: GradientRule = ({ g, dy, node, shape }) => {
  const blocksize = intAttribute(node, 'blocksize', 1)
  if (stringAttribute(node, 'mode', 'DCR') === 'DCR') return [g.op('SpaceToDepth', [dy], { blocksize })]
  const [n, c, h, w] = shape(node.inputs[0])
  const apart = [n, c / blocksize ** 2, h, blocksize, w, blocksize]
  return [g.reshape(g.transpose(g.reshape(dy, apart), [0, 1, 3, 5, 2, 4]), [n, c, h, w])]
}

const spaceToDepth: GradientRule = ({ g, dy, node }) => [
  g.op('DepthToSpace', [dy], { blocksize: intAttribute(node, 'blocksize', 1) }),
]

/** The operator again, on the gradient, with the same further inputs. */
const itself: GradientRule = ({ g, dy, node }) => [
  g.op(node.op, [dy, ...node.inputs.slice(1)], Object.fromEntries(node.attributes)),
]

const cumSum: GradientRule = ({ g, dy, node }) => [
  g.op('CumSum', [dy, node.inputs[1]], {
    exclusive: intAttribute(node, 'exclusive', 0),
    reverse: 1 - intAttribute(node, 'reverse', 0),
  }),
]

export const shape: GradientRules = {
  Reshape: reshaped,
  Flatten: reshaped,
  Squeeze: reshaped,
  Unsqueeze: reshaped,
  Transpose: transposed,
  Concat: concat,
  Split: split,
  Pad: pad,
  Slice: slice,
  Tile: tile,
  DepthToSpace: depthToSpace,
  SpaceToDepth: spaceToDepth,
  Trilu: itself,
  ReverseSequence: itself,
  CumSum: cumSum,
  Expand: (p) => [p.g.unbroadcast(p.dy, p.shape(p.node.outputs[0]), p.shape(p.node.inputs[0]))],
}
