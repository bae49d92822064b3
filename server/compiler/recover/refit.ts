import type { Affine, Moments, Weights } from './affine.js'
import { type Gram, momentsOf } from './gram.js'
import { heldErrors, heldVariance, outputMoments } from './held-errors.js'
import { leastSquares, meanBias, solvesOf, stepped } from './least-squares.js'
import { type Mixer, unknownsOf } from './mixer.js'
import type { Observed } from './observe.js'
import type { Multiply, Products } from './products.js'
import { errorsThrough, missedThrough, type Range, varianceThrough } from './range.js'
import { tikhonov } from './solve.js'
import type { Tie } from './tie.js'

/** Rows of evidence that an unknown takes: with fewer it is fitted with more care, with far fewer not at all. */
export const ROWS_PER_UNKNOWN = 10
const LEAST_ROWS_PER_UNKNOWN = 1
/** Ridges, as shares of the mean diagonal, the least only where rows are many: what was held out chooses. */
const RIDGES = [1e-3, 1e-2, 1e-1]
/** How often weights are fitted to what comes through. */
const ROUNDS = 8
/** Moments of so many unknowns take half a gigabyte; layers with more are compensated channel by channel only. */
export const MOST_UNKNOWNS = 4096

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
 *   several ridges to choose from;
 * - where only a range of what it computes comes through, that least squares again and again towards what comes
 *   through, from the best so far: outputs that lie beyond the range, as they should, are right wherever they lie (Zhang et
 *   al. 2016, "Accelerating Very Deep Convolutional Networks for Classification and Detection", sections 3.2 and 3.3; by
 *   majorisation, with Nesterov's steps, instead of their auxiliary variables). Errors are then those of what comes through.
 * @param dense what the dense mixer computes, for `kept` of its outputs
 */
export async function refit(
  now: Mixer,
  left: Affine,
  dense: Affine,
  kept: readonly number[],
  { tie, range: asked }: { readonly tie?: { before: Tie; now: Tie }; readonly range?: Range },
  { rows, tied, seen, pads }: Observed,
  products: Products,
): Promise<Refit> {
  const { shifts } = left
  const { multiply } = products
  const range = seen.length > 0 ? asked : undefined
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
    for (const c of candidates.slice(held.length))
      held.push(
        range
          ? await errorsThrough(now, c, seen, range, products)
          : await heldErrors(now, c, rows.held, multiply),
      )
  }
  await judge()
  const columns = unknownsOf(now)
  const choose = () =>
    Array.from({ length: now.outputs }, (_, o) =>
      held.reduce((best, list, c) => (list[o] < held[best][o] ? c : best), 0),
    )
  const chosen = (): Weights => {
    const choice = choose()
    return {
      rows: left.rows.map((_, i) => candidates[choice[Math.floor(i / columns)]].rows[i]),
      bias: left.bias.map((_, o) => candidates[choice[o]].bias[o]),
    }
  }
  const evidence = rows.fit.count / (columns + 1)
  if (columns <= MOST_UNKNOWNS && evidence >= LEAST_ROWS_PER_UNKNOWN) {
    const total = (list: Float64Array) => list.reduce((a, b) => a + b, 0)
    const known = held.map(total)
    const best = candidates[known.reduce((best, error, c) => (error < known[best] ? c : best), 0)]
    for (const ridge of RIDGES.slice(evidence < ROWS_PER_UNKNOWN ? 1 : 0))
      add(await leastSquares(now, best, rows.fit, shifts, multiply, ridge))
  }
  await judge()
  if (range && columns <= MOST_UNKNOWNS && evidence >= LEAST_ROWS_PER_UNKNOWN) {
    const ridge = RIDGES[evidence < ROWS_PER_UNKNOWN ? 1 : 0]
    const solves = await solvesOf(now, rows.fit, shifts, multiply, ridge)
    for (let round = 0, last = chosen(), from = last; round < ROUNDS; round++) {
      const xy = await missedThrough(now, from, seen, range, products)
      const next = await stepped(now, from, { ...rows.fit, xy }, shifts, solves)
      candidates.push(next)
      from = beyond(last, next, round / (round + 3))
      last = next
    }
    await judge()
  }
  const choice = choose()
  const weights = chosen()
  const energy = range ? varianceThrough(now, seen, range) : heldVariance(rows.held)
  const share = (list: ArrayLike<number>) =>
    Array.from(list).reduce((a, b) => a + b, 0) / Math.max(energy, Number.MIN_VALUE)
  return {
    ...weights,
    errorBefore: share(held[0]),
    errorAfter: share(choice.map((c, o) => held[c][o])),
    accepted: choice.filter((c) => c > 0).length,
    moments: await outputMoments(now, weights.rows, [rows.fit, rows.held], multiply),
  }
}

/** Nesterov's look ahead: on from one to another by a share of the way between them. */
const beyond = (from: Weights, to: Weights, share: number): Weights => ({
  rows: to.rows.map((w, i) => w + share * (w - from.rows[i])),
  bias: to.bias.map((b, o) => b + share * (b - from.bias[o])),
})

/**
 * B [now, before]: what all dense channels are, as linear maps of those that are left; by means and covariances or,
 * uncentred, by second moments.
 */
async function channelMap(gram: Gram, centred: boolean, multiply: Multiply) {
  const solve = await tikhonov(momentsOf(gram, 0, 'inputs', centred), multiply)
  return solve?.(momentsOf(gram, 0, 'targets', centred))
}

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
