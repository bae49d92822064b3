import { type Axis, defineOp, type FlowContext, noMacs } from './define.js'

/** Positions are interpolated; a dimension whose size stays goes through. */
const resample = (op: string, sizesInput: number) =>
  defineOp({
    op,
    flow(f) {
      const before = f.axes(0)
      const axes = f.outputDims().map((size, i): Axis => {
        if (size === before[i].atoms.length) return before[i]
        f.freeze(before[i], `${op} changes its size`)
        return f.fixed(size, `${op} makes its size`)
      })
      for (const i of [1, 2]) freezeAll(f, i)
      if (f.node.inputs[sizesInput]) {
        axes.forEach((axis, i) => {
          f.sizes(f.inputs[sizesInput]?.origins?.[i], axis)
        })
      }
      return [{ axes }]
    },
    macs: noMacs,
  })

const freezeAll = (f: FlowContext, i: number) => {
  for (const a of f.inputs[i]?.axes ?? []) f.freeze(a, 'scales and regions')
}

export const resize = resample('Resize', 3)
export const upsample = resample('Upsample', Number.POSITIVE_INFINITY)
