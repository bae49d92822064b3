import { int64s, intAttribute, intsAttribute } from '../graph/index.js'
import { type Axis, defineOp, keepSizes, noMacs, positive, product } from './define.js'

export const concat = defineOp({
  op: 'Concat',
  sizes: [Number.POSITIVE_INFINITY],
  flow(f) {
    const parts = f.inputs.map((_, i) => f.axes(i))
    const rank = parts[0].length
    const axis = positive(intAttribute(f.node, 'axis', 1), rank)
    const axes = Array.from({ length: rank }, (_, i): Axis => {
      const here = parts.map((p) => p[i])
      if (i === axis) return f.concat(here)
      for (const other of here.slice(1)) f.same(here[0], other)
      return { atoms: here[0].atoms, zero: here.every((a) => a.zero) }
    })
    const origins = f.inputs.flatMap((v) => v?.origins ?? [])
    const complete = rank === 1 && origins.length === axes[0].atoms.length
    if (!complete)
      f.inputs.forEach((_, i) => {
        keepSizes(f, i)
      })
    return [{ axes, origins: complete ? origins : undefined }]
  },
  macs: noMacs,
})

/** Cuts `axis` into consecutive parts; their sizes follow what each part keeps. */
export const split = defineOp({
  op: 'Split',
  sizes: [1],
  flow(f) {
    const before = f.axes(0)
    const axis = positive(intAttribute(f.node, 'axis', 0), before.length)
    const sizes = f.node.outputs.map((_, i) => f.outputDims(i)[axis])
    let start = 0
    const parts = sizes.map((size) => {
      const part = f.pick(
        before[axis],
        Array.from({ length: size }, (_, i) => start + i),
      )
      start += size
      return part
    })
    if (f.node.inputs[1] && !f.constant(1)) {
      parts.forEach((part, i) => {
        f.sizes(f.inputs[1]?.origins?.[i], part)
      })
    } else {
      f.onPrune((kept, node) => {
        const counts = parts.map((part) => kept.count(part))
        if (product(sizes) === product(counts)) return
        if (f.opset < 13) node.attribute('split', counts)
        else node.input(1, int64s(counts))
        if (f.opset >= 18) node.attribute('num_outputs', undefined)
      })
    }
    if (start !== before[axis].atoms.length || intsAttribute(f.node, 'split')?.length === 0)
      f.decline('its parts do not add up')
    return parts.map((part) => ({ axes: before.map((a, i) => (i === axis ? part : a)) }))
  },
  macs: noMacs,
})
