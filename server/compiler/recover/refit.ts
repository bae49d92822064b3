import type { Affine, Moments } from './affine.js'
import { type Gram, momentsOf } from './gram.js'
import { type Mixer, unknownsOf } from './mixer.js'
import type { Observed } from './observe.js'
import type { Multiply } from './products.js'
import { solveTikhonov } from './solve.js'
import type { Tie } from './tie.js'

/** Rows of evidence that an unknown takes: with fewer it is fitted with more care, with far fewer not at all. */
export const ROWS_PER_UNKNOWN = 10
const LEAST_ROWS_PER_UNKNOWN = 1
/** Ridges, as shares of the mean diagonal, the least only where rows are many: what was held out chooses. */
const RIDGES = [1e-3, 1e-2, 1e-1]
/** Moments of so many unknowns take half a gigabyte; layers with more are compensated channel by channel only. */
export const MOST_UNKNOWNS = 4096

type Weights = Pick<Affine, 'rows' | 'bias'>

export interface Refit extends Weights {
  /** Error of the outputs on rows held out, as a share of their variance there. */
  readonly errorBefore: number
  readonly errorAfter: number
  /** Output channels that held-out rows confirmed a change of. */
  readonly accepted: number
  /** Mean and variance of rows · x over all rows seen. */
  readonly moments: Moments
}

/**
 * The weights with which a mixer of the pruned network comes closest to what it should compute, each output channel by
 * itself the best on held-out rows of:
 * - what pruning left, as it is and with its mean set right (bias correction: Nagel et al. 2019, "Data-Free
 *   Quantization Through Weight Equalization and Bias Correction");
 * - the dense weights times B, the linear map from the channels that are left to all that were, W′ = W·B at each tap:
 *   the least-squares form of OBS's update (Hassibi and Stork 1993, "Second order derivatives for network pruning");
 * - least squares over whole rows, towards the best of the former (channel pruning: He et al. 2017, "Channel Pruning
 *   for Accelerating Very Deep Neural Networks", section 3.1; ThiNet: Luo et al. 2017), with
 *   several ridges to choose from.
 * @param dense what the dense mixer computes, for `kept` of its outputs
 */
export async function refit(
  now: Mixer,
  left: Affine,
  dense: Affine,
  kept: readonly number[],
  tie: { before: Tie; now: Tie } | undefined,
  { rows, tied, pads }: Observed,
  multiply: Multiply,
): Promise<Refit> {
  const { shifts } = left
  const candidates: Weights[] = [left]
  const add = (weights: Float64Array) => {
    candidates.push({ rows: weights, bias: shifts ? meanBias(now, weights, rows.fit) : left.bias })
  }
  if (shifts) add(left.rows)
  if (tied && tie && tied.fit.count >= ROWS_PER_UNKNOWN * tie.now.units) {
    const map = await channelMap(tied.fit, shifts && !pads, multiply)
    if (map) add(compensated(dense.rows, kept, tie, map))
  }
  const held: Float64Array[] = []
  const judge = async () => {
    for (const c of candidates.slice(held.length)) held.push(await heldErrors(now, c, rows.held, multiply))
  }
  await judge()
  const columns = unknownsOf(now)
  const evidence = rows.fit.count / (columns + 1)
  if (columns <= MOST_UNKNOWNS && evidence >= LEAST_ROWS_PER_UNKNOWN) {
    const total = (list: Float64Array) => list.reduce((a, b) => a + b, 0)
    const known = held.map(total)
    const best = candidates[known.indexOf(Math.min(...known))]
    for (const ridge of RIDGES.slice(evidence < ROWS_PER_UNKNOWN ? 1 : 0))
      add(await leastSquares(now, best, rows.fit, shifts, multiply, ridge))
  }
  await judge()
  const choice = Array.from({ length: now.outputs }, (_, o) =>
    held.reduce((best, list, c) => (list[o] < held[best][o] ? c : best), 0),
  )
  const chosen: Weights = {
    rows: left.rows.map((_, i) => candidates[choice[Math.floor(i / columns)]].rows[i]),
    bias: left.bias.map((_, o) => candidates[choice[o]].bias[o]),
  }
  const energy = heldVariance(rows.held)
  const share = (list: ArrayLike<number>) =>
    Array.from(list).reduce((a, b) => a + b, 0) / Math.max(energy, Number.MIN_VALUE)
  return {
    ...chosen,
    errorBefore: share(held[0]),
    errorAfter: share(choice.map((c, o) => held[c][o])),
    accepted: choice.filter((c) => c > 0).length,
    moments: await outputMoments(now, chosen.rows, [rows.fit, rows.held], multiply),
  }
}

/**
 * B [now, before]: what all dense channels are, as linear maps of those that are left; by means and covariances or,
 * uncentred, by second moments.
 */
const channelMap = (gram: Gram, centred: boolean, multiply: Multiply) =>
  solveTikhonov(momentsOf(gram, 0, 'inputs', centred), momentsOf(gram, 0, 'targets', centred), multiply)

/** W·B at each tap, for the outputs that are kept. */
function compensated(
  dense: Float64Array,
  kept: readonly number[],
  { before, now }: { before: Tie; now: Tie },
  map: Float64Array,
): Float64Array {
  const columns = before.units * before.taps
  const width = now.units * now.taps
  const rows = new Float64Array(kept.length * width)
  for (const [o, from] of kept.entries())
    for (let t = 0; t < now.taps; t++)
      for (let u = 0; u < before.units; u++) {
        const w = dense[from * columns + before.at[t * before.units + u]]
        if (w === 0) continue
        for (let v = 0; v < now.units; v++)
          rows[o * width + now.at[t * now.units + v]] += w * map[v * before.units + u]
      }
  return rows
}

/** W + Δ with (XᵀX + λI)·Δ = Xᵀ(Y − X·W), block by block. */
async function leastSquares(
  now: Mixer,
  from: Weights,
  gram: Gram,
  centred: boolean,
  multiply: Multiply,
  ridge: number,
): Promise<Float64Array> {
  const columns = unknownsOf(now)
  const each = now.outputs / now.blocks
  const rows = from.rows.slice()
  for (let b = 0; b < now.blocks; b++) {
    const xx = momentsOf(gram, b, 'inputs', centred)
    const xy = momentsOf(gram, b, 'targets', centred)
    const first = b * each * columns
    const was = transposed(from.rows.subarray(first, first + each * columns), each, columns)
    const seen = await multiply(xx, was, { rows: columns, m: columns, n: each })
    const mean = (k: number, o: number) => (centred ? 0 : meanOf(gram, b, k) * from.bias[b * each + o])
    const residual = xy.map((y, i) => y - seen[i] - mean(Math.floor(i / each), i % each))
    const step = await solveTikhonov(xx, residual, multiply, ridge)
    if (!step) continue
    for (let o = 0; o < each; o++)
      for (let k = 0; k < columns; k++) rows[first + o * columns + k] += step[k * each + o]
  }
  return rows
}

/** [n, m] of [m, n]. */
const transposed = (values: Float64Array, m: number, n: number): Float64Array =>
  Float64Array.from({ length: values.length }, (_, i) => values[(i % m) * n + Math.floor(i / m)])

const meanOf = ({ xx, width, count }: Gram, block: number, k: number) =>
  xx[((block + 1) * width - 1) * width + k] / count

/** The bias with which the outputs' means are what they should be. */
function meanBias(now: Mixer, rows: Float64Array, gram: Gram): Float64Array {
  const { targets, width, xy, count } = gram
  const columns = unknownsOf(now)
  return Float64Array.from({ length: now.outputs }, (_, o) => {
    const block = Math.floor(o / targets)
    let mean = xy[((block + 1) * width - 1) * targets + (o % targets)] / count
    for (let k = 0; k < columns; k++) mean -= rows[o * columns + k] * meanOf(gram, block, k)
    return mean
  })
}

/** Mean squared error by output channel: vᵀ·xx·v − 2vᵀ·xy + yy with v = (weights, bias). */
async function heldErrors(
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
function heldVariance({ blocks, targets, width, xy, yy, count }: Gram): number {
  let total = 0
  for (let o = 0; o < blocks * targets; o++) {
    const last = (Math.floor(o / targets) + 1) * width - 1
    total += yy[o] / count - (xy[last * targets + (o % targets)] / count) ** 2
  }
  return total
}

/** Mean and variance of rows · x, by output channel. */
async function outputMoments(
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
