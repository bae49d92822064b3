import type { Footprint } from '../analysis/index.js'
import type { Allocation } from '../budget/index.js'

/** Predicted and measured memory of one form of a network. */
export interface Point {
  readonly predicted: number
  readonly measured: number
}

/** Memory to expect of a footprint. */
type Expected = (f: Footprint) => number

/** Room left below a budget, so that measuring again stays within it. */
const MARGIN = 0.03
/** A candidate that uses this share of its budget is good enough. */
const ENOUGH = 0.9
const ATTEMPTS = 14
/** After so many candidates that leave much unused the next lies half way to what is too large. */
const SHORT = 2

/**
 * The prediction corrected by what was measured of the same network: between two measured points a straight line,
 * beyond them the nearest one's ratio.
 */
export function corrected(points: readonly Point[]): Expected {
  const sorted = [...points].sort((a, b) => a.predicted - b.predicted)
  return ({ predictedRamBytes: x }) => {
    const i = sorted.findIndex((p) => p.predicted >= x)
    const [a, b] = [sorted[i - 1], sorted[i]]
    if (a && b)
      return a.measured + ((x - a.predicted) / (b.predicted - a.predicted)) * (b.measured - a.measured)
    const nearest = b ?? sorted[sorted.length - 1]
    return nearest ? x * (nearest.measured / nearest.predicted) : x
  }
}

export interface MemorySearch {
  readonly budget: number
  /**
   * The most that keeps the expected memory within `bytes`, and all other limits, in multiples of `round`; where memory
   * is not expected to hold at all, the least that there is.
   */
  readonly choose: (bytes: number, expected: Expected, round: number) => Allocation
  readonly round: number
  /** Bytes that a candidate adds to a process. */
  readonly measure: (candidate: Allocation) => Promise<number>
  /** What is known beforehand; those measured here are added. */
  readonly points: Point[]
  /** Predicted bytes that are known to be too many. */
  readonly tooMany?: number
}

/** What was chosen. */
export type Met = Allocation & {
  readonly measured: number
  /** Whether no larger form is left that was not measured to be too large. */
  readonly largest: boolean
}

/**
 * The largest form of a network whose measured memory stays below the budget: predicts, measures the candidate,
 * corrects the prediction, and searches again between what was too large and what was small enough. Where multiples of
 * the rounding leave more than a tenth of the budget unused, finer ones are tried, and at last whatever lies between the
 * two, though it is expected to be too large.
 * @returns undefined if every candidate was measured above the budget
 */
export async function meetMemory({
  budget,
  choose,
  round,
  measure,
  points,
  tooMany = Number.POSITIVE_INFINITY,
}: MemorySearch): Promise<Met | undefined> {
  const target = budget * (1 - MARGIN)
  let best: (Allocation & { measured: number }) | undefined
  let tight: typeof best
  let [largest, short] = [false, 0]
  for (let attempt = 0; attempt < ATTEMPTS; ) {
    const enough = best?.footprint.predictedRamBytes ?? 0
    let candidate = choose(target, between(corrected(points), enough, tooMany, target), round)
    if (short >= SHORT) candidate = further(choose, enough, tooMany, round) ?? candidate
    if (candidate.footprint.predictedRamBytes >= tooMany) break
    if (candidate.footprint.predictedRamBytes <= enough) {
      if (round > 1) {
        round = Math.ceil(round / 2)
        continue
      }
      const larger = further(choose, enough, tooMany, round)
      largest = larger === undefined
      if (!larger) break
      candidate = larger
    }
    attempt++
    const predicted = candidate.footprint.predictedRamBytes
    const measured = await measure(candidate)
    points.push({ predicted, measured })
    short = measured > target ? 0 : short + 1
    if (measured > target) {
      tooMany = predicted
      if (measured <= budget) tight = { ...candidate, measured }
      continue
    }
    best = { ...candidate, measured }
    if (measured >= ENOUGH * budget || candidate.bound !== 'memory') break
  }
  const found = best ?? tight
  return found && { ...found, largest }
}

/** A form between what was small enough and what was too large: half way if there is one, else the largest. */
function further(
  choose: MemorySearch['choose'],
  enough: number,
  tooMany: number,
  round: number,
): Allocation | undefined {
  const within = (bytes: number) => choose(bytes, (f) => f.predictedRamBytes, round)
  const most = Math.min(tooMany * (1 - 1e-9), within(Number.MAX_VALUE).footprint.predictedRamBytes)
  return [(enough + most) / 2, most]
    .map(within)
    .find(({ footprint: { predictedRamBytes: x } }) => x > enough && x < tooMany)
}

/** An expectation that agrees with what was small enough and what was too large, also where measuring again differed. */
const between =
  (expected: Expected, enough: number, tooMany: number, target: number): Expected =>
  (f) => {
    const { predictedRamBytes: x } = f
    if (x <= enough) return Math.min(expected(f), (target * x) / enough)
    return x >= tooMany ? Math.max(expected(f), target * (x / tooMany + 1e-6)) : expected(f)
  }
