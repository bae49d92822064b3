import { floats, intAttribute, numbersOf, stringAttribute } from '../../graph/index.js'
import { tapsOf } from '../gradients/index.js'
import type { Lowering, Lowerings } from './rule.js'

/** Places −1 to 1 as grids have them: at the centres of the outermost places, or at their edges. */
const placeOf = (i: number, size: number, corners: boolean) =>
  corners ? (size === 1 ? 0 : (2 * i) / (size - 1) - 1) : (2 * i + 1) / size - 1

/** theta [N, d, d + 1] applied to every place (x first) of the wanted size. */
const affineGrid: Lowering = ({ g, node, shape, constant }) => {
  const [theta, size] = node.inputs
  const wanted = constant(size)
  if (!wanted) return undefined
  const [batch, , ...places] = numbersOf(wanted)
  const corners = intAttribute(node, 'align_corners', 0) === 1
  const base = tapsOf(places).flatMap((at) => [
    ...at.map((i, axis) => placeOf(i, places[axis], corners)).reverse(),
    1,
  ])
  const rank = places.length
  const grid = g.constant(floats([base.length / (rank + 1), rank + 1], base))
  const turned = g.matMul(grid, g.transpose(theta, [0, 2, 1]))
  return [g.reshape(turned, [shape(theta)[0] ?? batch, ...places, rank])]
}

/**
 * Linear or nearest sampling of maps x[N, C, …] at grid[N, …, d] (x first): a weighted sum of what lies at the corners
 * around each place. Not for cubic sampling, nor for places beyond the border that are reflected.
 */
const gridSample: Lowering = ({ g, node, shape }) => {
  const [x, grid] = node.inputs
  const [batch, channels, ...sizes] = shape(x)
  const output = shape(grid).slice(1, -1)
  const mode = stringAttribute(node, 'mode', 'linear')
  const padding = stringAttribute(node, 'padding_mode', 'zeros')
  const corners = intAttribute(node, 'align_corners', 0) === 1
  const linear = mode === 'linear' || mode === 'bilinear'
  if ((!linear && mode !== 'nearest') || padding === 'reflection') return undefined
  const rank = sizes.length
  const count = output.reduce((n, d) => n * d, 1)
  const total = sizes.reduce((n, d) => n * d, 1)
  const positions = sizes.map((size, axis) => {
    const raw = g.slice(grid, [rank + 1], [rank - 1 - axis], [rank - axis])
    const at = corners
      ? g.scale(g.add(raw, g.scalar(1)), (size - 1) / 2)
      : g.add(g.scale(raw, size / 2), g.scalar((size - 1) / 2))
    const inside = padding === 'border' ? g.op('Clip', [at, g.scalar(0), g.scalar(size - 1)]) : at
    return g.reshape(inside, [batch, 1, count])
  })
  const flat = g.reshape(x, [batch, channels, total])
  const starts = positions.map((p) => (linear ? g.op('Floor', [p]) : g.op('Round', [p])))
  const samples = tapsOf(sizes.map(() => (linear ? 2 : 1))).map((corner) => {
    let index = g.scalar(0)
    let weight = g.scalar(1)
    for (const [axis, size] of sizes.entries()) {
      const at = g.add(starts[axis], g.scalar(corner[axis]))
      const near = g.op('Clip', [at, g.scalar(0), g.scalar(size - 1)])
      index = g.add(g.scale(index, size), near)
      const share = g.sub(positions[axis], starts[axis])
      if (linear) weight = g.mul(weight, corner[axis] === 1 ? share : g.sub(g.scalar(1), share))
      if (padding === 'zeros') weight = g.where(g.op('Equal', [at, near]), weight, g.scalar(0))
    }
    const where = g.expand(g.cast(index, 'int64'), [batch, channels, count])
    return g.mul(g.op('GatherElements', [flat, where], { axis: 2 }), weight)
  })
  const y = samples.length === 1 ? samples[0] : g.op('Sum', samples)
  return [g.reshape(y, [batch, channels, ...output])]
}

/** Centred: cut where it is too long, zeros where it is too short. */
const centerCropPad: Lowering = ({ g, node, shape }) => {
  const [x] = node.inputs
  const [dims, wanted] = [shape(x), shape(node.outputs[0])]
  const starts = dims.map((d, i) => (wanted[i] >= d ? (wanted[i] - d) >> 1 : -((d - wanted[i]) >> 1)))
  return [g.pad(x, [...starts, ...dims.map((d, i) => wanted[i] - d - starts[i])])]
}

export const samplings: Lowerings = {
  AffineGrid: affineGrid,
  GridSample: gridSample,
  CenterCropPad: centerCropPad,
}
