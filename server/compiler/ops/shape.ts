import { intAttribute, numbersOf, tensorAttribute } from '../graph/index.js'
import { defineOp, type FlowContext, type Flowing, noMacs, one, positive } from './define.js'
import { levelsOf } from './level.js'

/** The sizes of x's dimensions, each known by the axis it counts. */
export const shape = defineOp({
  op: 'Shape',
  sizes: [0],
  flow(f) {
    const axes = f.axes(0)
    const end = intAttribute(f.node, 'end', axes.length)
    const counted = axes.slice(
      positive(intAttribute(f.node, 'start', 0), axes.length),
      positive(end, axes.length),
    )
    return [
      {
        axes: [f.fixed(counted.length, 'a shape')],
        origins: counted.map((axis) => ({ from: 'axis', axis })),
      },
    ]
  },
  macs: noMacs,
})

/** A constant of the shape that its input holds: constant sizes follow the axes they make. */
export const constantOfShape = defineOp({
  op: 'ConstantOfShape',
  sizes: [0],
  flow(f) {
    const value = tensorAttribute(f.node, 'value')
    const zero = !value || numbersOf(value)[0] === 0
    const origins = f.inputs[0]?.origins
    const axes = f.outputDims().map((size, i) => {
      if (size === 1) return one(f)
      const axis = f.fresh(size, zero)
      f.sizes(origins?.[i], axis)
      return axis
    })
    return [{ axes }]
  },
  macs: noMacs,
})

const through = (f: FlowContext): Flowing => ({
  axes: f.axes(0),
  origins: f.inputs[0]?.origins,
  levels: levelsOf(f, f.axes(0)),
})

/** Operators that hand their input on, elements and all. */
export const identities = ['Identity', 'Cast', 'CastLike'].map((op) =>
  defineOp({ op, sizes: [0], flow: (f) => [through(f)], macs: noMacs }),
)

/** A number counted from sizes: it stays right only if those sizes do. */
export const size = defineOp({
  op: 'Size',
  flow(f) {
    f.freeze(f.axes(0), 'its elements are counted')
    return [{ axes: [] }]
  },
  macs: noMacs,
})

export const range = defineOp({
  op: 'Range',
  flow: (f) => [{ axes: f.outputDims().map((s) => f.fixed(s, 'a range of numbers')) }],
  macs: noMacs,
})
