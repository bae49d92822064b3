import { int64s, numbersOf, stringAttribute } from '../../graph/index.js'
import type { Lowering, Lowerings } from './rule.js'

/** Where position `at` of a padded axis reads from. */
const readFrom: Readonly<Record<string, (at: number, size: number) => number>> = {
  edge: (at, size) => Math.min(Math.max(at, 0), size - 1),
  wrap: (at, size) => ((at % size) + size) % size,
  reflect(at, size) {
    if (size === 1) return 0
    const period = 2 * (size - 1)
    const inside = ((at % period) + period) % period
    return inside < size ? inside : period - inside
  },
}

/** Borders made of the values themselves: along each axis, a Gather. */
const pad: Lowering = ({ g, node, shape, constant }) => {
  const from = readFrom[stringAttribute(node, 'mode', 'constant')]
  const [x, amounts, , chosen] = node.inputs
  const pads = constant(amounts)
  if (!from || !pads) return undefined
  const dims = shape(x)
  const given = chosen ? constant(chosen) : undefined
  if (chosen && !given) return undefined
  const axes = given ? numbersOf(given).map((a) => (a + dims.length) % dims.length) : [...dims.keys()]
  const sizes = numbersOf(pads)
  let y = x
  for (const [k, axis] of axes.entries()) {
    const [before, after] = [sizes[k], sizes[axes.length + k]]
    if (before === 0 && after === 0) continue
    const size = dims[axis]
    const read = Array.from({ length: size + before + after }, (_, i) => from(i - before, size))
    y = g.op('Gather', [y, g.constant(int64s(read))], { axis })
  }
  return [y]
}

export const pads: Lowerings = { Pad: pad }
