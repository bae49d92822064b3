import { elementCount, int64s, intAttribute, numbersOf, stringAttribute, tensor } from '../../graph/index.js'
import type { GradientRule, GradientRules, Place } from './rule.js'

const add = { reduction: 'add' }
const range = (n: number, from = 0) => Array.from({ length: n }, (_, i) => from + i)

/**
 * What was read at `indices` (of shape q) along `axis`, added up where it came from.
 * @param dy of shape [before, q, after] @param dims of the result
 */
function scattered(
  { g, constant }: Place,
  dy: string,
  axis: number,
  indices: string,
  q: readonly number[],
  dims: readonly number[],
): string {
  const size = dims[axis]
  const known = constant(indices)
  const at = known && numbersOf(known).map((i) => (i < 0 ? i + size : i))
  if (at?.every((v, k) => v === at[0] + k)) {
    // A run of neighbours: zeros around it.
    const pads = new Array<number>(2 * dims.length).fill(0)
    pads[axis] = at[0]
    pads[dims.length + axis] = size - at[0] - at.length
    return g.pad(g.reshape(dy, dims.with(axis, at.length)), pads)
  }
  const [before, after] = [dims.slice(0, axis), dims.slice(axis + 1)]
  const first = range(q.length, axis)
  const others = [...range(axis), ...range(after.length, axis + q.length)]
  const rows = axis === 0 ? dy : g.transpose(dy, [...first, ...others])
  const each = g.op('Unsqueeze', [indices, g.ints([-1])])
  const summed = g.op('ScatterND', [g.zeros([size, ...before, ...after]), each, rows], add)
  if (axis === 0) return summed
  return g.transpose(summed, [...range(axis, 1), 0, ...range(after.length, axis + 1)])
}

const axisOf = ({ node, shape }: Place, otherwise = 0) => {
  const rank = shape(node.inputs[0]).length
  return (intAttribute(node, 'axis', otherwise) + rank) % rank
}

/** Also of embeddings: rows of the table that were read several times add up. */
const gather: GradientRule = (p) => {
  const [x, indices] = p.node.inputs
  return [scattered(p, p.dy, axisOf(p), indices, p.shape(indices), p.shape(x))]
}

const gatherElements: GradientRule = (p) => {
  const [x, indices] = p.node.inputs
  const axis = axisOf(p)
  return [p.g.op('ScatterElements', [p.g.zeros(p.shape(x)), indices, p.dy], { axis, ...add })]
}

/** Indices [batch…, q…, k] get the numbers of their batch in front. */
const gatherND: GradientRule = (p) => {
  const { g, dy, node } = p
  const [x, indices] = node.inputs
  const batch = intAttribute(node, 'batch_dims', 0)
  const dims = p.shape(indices)
  const rows = dims.slice(0, -1)
  let each = indices
  if (batch > 0) {
    const numbers = new BigInt64Array(elementCount(rows) * batch)
    for (let row = 0; row < elementCount(rows); row++)
      for (let b = 0, rest = row; b < rows.length; b++) {
        const step = elementCount(rows.slice(b + 1))
        if (b < batch) numbers[row * batch + b] = BigInt(Math.floor(rest / step))
        rest %= step
      }
    each = g.op('Concat', [g.constant(tensor('int64', [...rows, batch], numbers)), indices], { axis: -1 })
  }
  return [g.op('ScatterND', [g.zeros(p.shape(x)), each, dy], add)]
}

/** What was written over has no gradient; with `add`, everything passes. Other reductions have no rule. */
const scatter =
  (read: (p: Place) => string): GradientRule =>
  (p) => {
    const { g, dy, node } = p
    const [, indices, updates] = node.inputs
    const reduction = stringAttribute(node, 'reduction', 'none')
    if (reduction !== 'none' && reduction !== 'add') return ['', '', '']
    const kept = () => {
      if (reduction === 'add') return dy
      const attributes = node.op === 'ScatterND' ? {} : { axis: axisOf(p) }
      return g.op(node.op, [dy, indices, g.zeros(p.shape(updates))], attributes)
    }
    return [p.wants(0) ? kept() : '', '', p.wants(2) ? read(p) : '']
  }

const topK: GradientRule = (p) => {
  const zeros = p.g.zeros(p.shape(p.node.inputs[0]))
  return [p.g.op('ScatterElements', [zeros, p.output(1), p.dy], { axis: axisOf(p, -1), ...add })]
}

/** The positions that were kept, as a Gather of them. */
const compress: GradientRule = (p) => {
  const { g, node } = p
  const [x, condition] = node.inputs
  const dims = p.shape(x)
  const flat = !node.attributes.has('axis')
  const axis = flat ? 0 : axisOf(p)
  const whole = flat ? [elementCount(dims)] : dims
  const kept = g.op('Compress', [g.constant(int64s(range(whole[axis]))), condition], { axis: 0 })
  const dx = scattered(p, p.dy, axis, kept, [p.shape(node.outputs[0])[axis]], whole)
  return [flat ? g.reshape(dx, dims) : dx]
}

/** Of the two values [off, on] that a place may hold. */
const oneHot: GradientRule = (p) => {
  const { g, dy, node } = p
  const [indices, depth, values] = node.inputs
  const zeroOne = g.op('Concat', [g.zeros([1]), g.expand(g.scalar(1), [1])], { axis: 0 })
  const hot = g.op('OneHot', [indices, depth, zeroOne], { axis: intAttribute(node, 'axis', -1) })
  const all = range(p.shape(node.outputs[0]).length)
  const on = g.reshape(g.sum(g.mul(dy, hot), all), [1])
  const total = g.reshape(g.sum(dy, all), [1])
  return ['', '', p.shape(values).length === 1 ? g.op('Concat', [g.sub(total, on), on], { axis: 0 }) : '']
}

export const gathers: GradientRules = {
  Gather: gather,
  GatherElements: gatherElements,
  GatherND: gatherND,
  ScatterElements: scatter((p) => p.g.op('GatherElements', [p.dy, p.node.inputs[1]], { axis: axisOf(p) })),
  ScatterND: scatter((p) => p.g.op('GatherND', [p.dy, p.node.inputs[1]])),
  TopK: topK,
  Compress: compress,
  OneHot: oneHot,
}
