import { intAttribute, intsAttribute, numbersOf } from '../graph/index.js'
import { type Axis, defineOp, type FlowContext, noMacs, one, positive } from './define.js'

export const transpose = defineOp({
  op: 'Transpose',
  flow(f) {
    const axes = f.axes(0)
    const order = intsAttribute(f.node, 'perm') ?? [...axes.keys()].reverse()
    return [{ axes: order.map((i) => axes[i]) }]
  },
  macs: noMacs,
})

/** Row-major; each size given as a constant follows the axis it becomes. */
export const reshape = defineOp({
  op: 'Reshape',
  sizes: [0, 1],
  flow(f) {
    const before = f.axes(0)
    const after = f.reshape(before, f.outputDims())
    const targets = f.node.inputs[1] ? f.integers(1) : intsAttribute(f.node, 'shape')
    if (!targets) return f.decline('its target shape is not known')
    const copies = intAttribute(f.node, 'allowzero', 0) === 0
    targets.forEach((target, i) => {
      if (target === -1) return
      if (target === 0 && copies) f.same(after[i], before[i])
      else if (f.node.inputs[1]) f.sizes(f.inputs[1]?.origins?.[i], after[i])
    })
    if (!f.node.inputs[1]) {
      f.onPrune((kept, node) =>
        node.attribute(
          'shape',
          targets.map((target, i) => (target > 0 ? kept.count(after[i]) : target)),
        ),
      )
    }
    return [{ axes: after, origins: f.inputs[0]?.origins }]
  },
  macs: noMacs,
})

/** To two dimensions: those before `axis`, and the rest. */
export const flatten = defineOp({
  op: 'Flatten',
  flow(f) {
    const axes = f.axes(0)
    const axis = positive(intAttribute(f.node, 'axis', 1), axes.length)
    return [{ axes: [f.merge(axes.slice(0, axis)), f.merge(axes.slice(axis))] }]
  },
  macs: noMacs,
})

const axesOf = (f: FlowContext) => {
  const axes = f.node.inputs[1] ? f.integers(1) : intsAttribute(f.node, 'axes')
  if (f.node.inputs[1] && !axes) f.decline('its axes are not known')
  return axes
}

export const squeeze = defineOp({
  op: 'Squeeze',
  sizes: [0],
  flow(f) {
    const before = f.axes(0)
    const gone = new Set(axesOf(f)?.map((a) => positive(a, before.length)))
    if (gone.size === 0) {
      // Without axes it drops whatever has size one, which pruning may bring about.
      for (const a of before)
        if (a.atoms.length > 1) f.freeze(a, 'Squeeze without axes would drop it at size one')
    }
    const axes = before.filter((a, i) => (gone.size > 0 ? !gone.has(i) : a.atoms.length !== 1))
    return [{ axes, origins: f.inputs[0]?.origins }]
  },
  macs: noMacs,
})

export const unsqueeze = defineOp({
  op: 'Unsqueeze',
  sizes: [0],
  flow(f) {
    const before = [...f.axes(0)]
    const given = axesOf(f) ?? []
    const rank = before.length + given.length
    const made = new Set(given.map((a) => positive(a, rank)))
    const axes = Array.from({ length: rank }, (_, i): Axis => {
      const next = made.has(i) ? undefined : before.shift()
      return next ?? one(f)
    })
    return [{ axes, origins: f.inputs[0]?.origins }]
  },
  macs: noMacs,
})

/** Blocks of positions become channels: c → (r, r, c) before the positions, as DCR orders them, or CRD. */
const blocks = (op: string) =>
  defineOp({
    op,
    flow(f) {
      const [n, c, ...positions] = f.axes(0)
      const r = intAttribute(f.node, 'blocksize', 1)
      f.freeze(positions, `${op} moves positions into channels`)
      const size = f.outputDims()[1]
      const rest = f
        .outputDims()
        .slice(2)
        .map((s) => f.fixed(s, 'positions'))
      if (op === 'SpaceToDepth') {
        const block = f.fixed(r * r, 'positions in a block')
        return [{ axes: [n, f.merge([block, c]), ...rest] }]
      }
      const depthFirst = f.node.attributes.get('mode')
      const crd = depthFirst?.type === 'string' && depthFirst.value === 'CRD'
      const factors = f.split(c, crd ? [size, r * r] : [r * r, size])
      f.freeze(factors[crd ? 1 : 0], 'it becomes positions')
      return [{ axes: [n, factors[crd ? 0 : 1], ...rest] }]
    },
    macs: noMacs,
  })

export const blockMoves = ['DepthToSpace', 'SpaceToDepth'].map(blocks)

/** A value repeated along new or widened dimensions. */
export const expand = defineOp({
  op: 'Expand',
  sizes: [1],
  flow(f) {
    const before = f.axes(0)
    const sizes = f.outputDims()
    const origins = f.inputs[1]?.origins
    const given = f.integers(1)
    const repeated = f.constant(0)
    const zero = repeated !== undefined && numbersOf(repeated).every((v) => v === 0)
    const axes = sizes.map((size, i): Axis => {
      const was = before[i - sizes.length + before.length]
      const wide = was && (was.atoms.length === size || size === 1)
      const axis = wide ? was : f.fresh(size, zero)
      const j = given ? i - sizes.length + given.length : -1
      if (j >= 0 && given?.[j] !== 1) f.sizes(origins?.[j], axis)
      else if (!wide) f.freeze(axis, 'its size is not known')
      return axis
    })
    return [{ axes }]
  },
  macs: noMacs,
})

/** A value laid beside itself: an index goes with all its copies. A dimension of size one takes the size asked for. */
export const tile = defineOp({
  op: 'Tile',
  sizes: [1],
  flow(f) {
    const repeats = f.integers(1)
    const axes = f.axes(0).map((a, i): Axis => {
      const count = repeats?.[i] ?? f.decline('how often it repeats is not known')
      const origin = f.inputs[1]?.origins?.[i]
      if (a.atoms.length === 1 && count > 1) {
        const wide = f.fresh(count, false)
        f.sizes(origin, wide)
        return wide
      }
      if (origin?.from === 'axis') f.freeze(origin.axis, 'its size says how often something repeats')
      return count === 1 ? a : f.concat(Array.from({ length: count }, () => a))
    })
    return [{ axes }]
  },
  macs: noMacs,
})
