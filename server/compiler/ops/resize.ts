import { type Axis, defineOp, noMacs } from './define.js'

/** Positions are interpolated; a dimension whose size stays goes through. */
const resample = (op: string, sizesInput: number) =>
  defineOp({
    op,
    sizes: [sizesInput],
    flow(f) {
      const before = f.axes(0)
      const axes = f.outputDims().map((size, i): Axis => {
        if (size === before[i].atoms.length) return before[i]
        f.freeze(before[i], `${op} changes its size`)
        return f.fixed(size, `${op} makes its size`)
      })
      for (const i of [1, 2]) f.freeze(f.inputs[i]?.axes ?? [], 'scales and regions')
      if (f.node.inputs[sizesInput]) {
        axes.forEach((axis, i) => {
          f.sizes(f.inputs[sizesInput]?.origins?.[i], axis)
        })
      }
      return [{ axes }]
    },
    macs: noMacs,
  })

export const resize = resample('Resize', 3)
export const upsample = resample('Upsample', Number.POSITIVE_INFINITY)
