import type { Moments, Weights } from './affine.js'
import type { Gram } from './gram.js'
import { meanOf } from './least-squares.js'
import { type Mixer, unknownsOf } from './mixer.js'
import type { Multiply } from './products.js'

/** Mean squared error by output channel: vᵀ·xx·v − 2vᵀ·xy + yy with v = (weights, bias). */
export async function heldErrors(
  now: Mixer,
  { rows, bias }: Weights,
  gram: Gram,
  multiply: Multiply,
): Promise<Float64Array> {
  const { targets, width, xy, yy, count } = gram
  const columns = unknownsOf(now)
  const sums = await quadratics(rows, bias, gram, multiply)
  return sums.map((square, o) => {
    const first = Math.floor(o / targets) * width
    const at = (i: number) => xy[(first + i) * targets + (o % targets)]
    let error = square + yy[o] - 2 * bias[o] * at(columns)
    for (let i = 0; i < columns; i++) error -= 2 * rows[o * columns + i] * at(i)
    return Math.max(0, error) / Math.max(1, count)
  })
}

/** vᵀ·xx·v by output channel, with v = (weights, bias). */
async function quadratics(
  rows: Float64Array,
  bias: Float64Array | undefined,
  { blocks, targets, width, xx }: Gram,
  multiply: Multiply,
): Promise<Float64Array> {
  const columns = width - 1
  const v = new Float64Array(blocks * width * targets)
  for (let o = 0; o < blocks * targets; o++) {
    const first = Math.floor(o / targets) * width
    for (let i = 0; i < columns; i++) v[(first + i) * targets + (o % targets)] = rows[o * columns + i]
    v[(first + columns) * targets + (o % targets)] = bias?.[o] ?? 0
  }
  const product = await multiply(xx, v, { blocks, rows: width, m: width, n: targets })
  const sums = new Float64Array(blocks * targets)
  for (let i = 0; i < v.length; i++)
    sums[Math.floor(i / (width * targets)) * targets + (i % targets)] += v[i] * product[i]
  return sums
}

/** Variance of the targets on held-out rows, summed over channels. */
export function heldVariance({ blocks, targets, width, xy, yy, count }: Gram): number {
  let total = 0
  for (let o = 0; o < blocks * targets; o++) {
    const last = (Math.floor(o / targets) + 1) * width - 1
    total += yy[o] / count - (xy[last * targets + (o % targets)] / count) ** 2
  }
  return total
}

/** Mean and variance of rows · x, by output channel. */
export async function outputMoments(
  now: Mixer,
  rows: Float64Array,
  grams: readonly Gram[],
  multiply: Multiply,
): Promise<Moments> {
  const columns = unknownsOf(now)
  const mean = new Float64Array(now.outputs)
  const square = new Float64Array(now.outputs)
  const count = grams.reduce((n, g) => n + g.count, 0)
  for (const gram of grams) {
    if (gram.count === 0) continue
    const sums = await quadratics(rows, undefined, gram, multiply)
    for (let o = 0; o < now.outputs; o++) {
      const block = Math.floor(o / gram.targets)
      square[o] += sums[o] / count
      for (let k = 0; k < columns; k++)
        mean[o] += (gram.count / count) * rows[o * columns + k] * meanOf(gram, block, k)
    }
  }
  return { mean, variance: square.map((s, o) => Math.max(0, s - mean[o] ** 2)) }
}
