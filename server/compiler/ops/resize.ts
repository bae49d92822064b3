import { intsAttribute, stringAttribute } from '../graph/index.js'
import { type Axis, defineOp, noMacs, positive } from './define.js'

/** Positions are interpolated; a dimension whose size stays goes through. Since opset 18 only `axes` are given sizes. */
const resample = (op: string, sizesInput?: number) =>
  defineOp({
    op,
    sizes: sizesInput === undefined ? [] : [sizesInput],
    flow(f) {
      if (stringAttribute(f.node, 'coordinate_transformation_mode', '') === 'tf_crop_and_resize')
        f.decline('it crops as well')
      if (stringAttribute(f.node, 'keep_aspect_ratio_policy', 'stretch') !== 'stretch')
        f.decline('its sizes depend on each other')
      const before = f.axes(0)
      const given = intsAttribute(f.node, 'axes') ?? [...before.keys()]
      const axes = f.outputDims().map((size, i): Axis => {
        if (size === before[i].atoms.length) return before[i]
        f.freeze(before[i], `${op} changes its size`)
        return f.fixed(size, `${op} makes its size`)
      })
      for (const i of [1, 2]) f.freeze(f.inputs[i]?.axes ?? [], 'scales and regions')
      if (sizesInput !== undefined && f.node.inputs[sizesInput]) {
        given.forEach((axis, k) => {
          f.sizes(f.inputs[sizesInput]?.origins?.[k], axes[positive(axis, axes.length)])
        })
      }
      return [{ axes }]
    },
    macs: noMacs,
  })

export const resize = resample('Resize', 3)
export const upsample = resample('Upsample')
