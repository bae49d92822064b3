import { floats, intsAttribute, numbersOf, stringAttribute } from '../../graph/index.js'
import type { GradientRule, GradientRules } from './rule.js'

/**
 * Resizing is linear, axis by axis. The matrix of one axis, [in, out], is what Resize itself makes of the identity, so
 * every mode and every way of placing the samples is met; the runtime computes it once, as a constant. Not for
 * regions with values beyond the border.
 */
const resize: GradientRule = (p) => {
  const { g, node } = p
  const [x, , scales, sizes] = node.inputs
  const [dims, output] = [p.shape(x), p.shape(node.outputs[0])]
  if (stringAttribute(node, 'coordinate_transformation_mode', 'half_pixel') === 'tf_crop_and_resize')
    return ['']
  const axes = intsAttribute(node, 'axes')?.map((a) => (a + dims.length) % dims.length) ?? [...dims.keys()]
  const factors = scales ? p.constant(scales) : undefined
  if (!factors && !sizes) return ['']
  const given = factors && numbersOf(factors)
  let dx = p.dy
  const now = [...output]
  for (const [k, axis] of axes.entries()) {
    const [size, made] = [dims[axis], output[axis]]
    if (size === made && (!given?.length || given[k] === 1)) continue
    const ask = given?.length
      ? [g.constant(floats([4], [1, 1, 1, given[k]]))]
      : ['', g.ints([1, 1, size, made])]
    const attributes = new Map(node.attributes)
    for (const unused of ['axes', 'keep_aspect_ratio_policy']) attributes.delete(unused)
    const identity = floats(
      [1, 1, size, size],
      Float32Array.from({ length: size * size }, (_, i) => Number(i % (size + 1) === 0)),
    )
    const resized = g.op('Resize', [g.constant(identity), '', ...ask], Object.fromEntries(attributes))
    const matrix = g.reshape(resized, [size, made])
    const [before, after] = [now.slice(0, axis), now.slice(axis + 1)]
    now[axis] = size
    const flat = (sizes: readonly number[]) => sizes.reduce((n, d) => n * d, 1)
    const columns =
      after.length === 0
        ? g.matMul(g.reshape(dx, [flat(before), made]), matrix, { transB: true })
        : g.matMul(matrix, g.reshape(dx, [flat(before), made, flat(after)]))
    dx = g.reshape(columns, now)
  }
  return [dx]
}

export const resizes: GradientRules = { Resize: resize }
