import type { Coupling, Footprint } from '../analysis/index.js'
import {
  type Allocation,
  after,
  allocate,
  BudgetUnreachable,
  type Limits,
  type Thinning,
} from '../budget/index.js'

/** Predicted and measured memory of one form of a network. */
export interface Point {
  readonly predicted: number
  readonly measured: number
}

/** Room left below a budget, so that measuring again stays within it. */
const MARGIN = 0.03
/** A candidate that uses this share of its budget is good enough. */
const ENOUGH = 0.88
const ATTEMPTS = 7

/**
 * The prediction corrected by what was measured of the same network: between two measured points a straight line,
 * beyond them the nearest one's ratio.
 */
export function corrected(points: readonly Point[]): (f: Footprint) => number {
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

/**
 * The fewest steps of a thinning with which the measured memory stays below the budget: predicts, measures the
 * candidate, corrects the prediction, and searches again between what was too large and what was small enough.
 * @param measure bytes that a candidate adds to a process
 * @param points what is known beforehand; those measured here are added
 * @throws BUDGET_UNREACHABLE if even the floor is measured above the budget
 */
export async function meetMemory(
  coupling: Coupling,
  thinning: Thinning,
  limits: Limits & { readonly memoryBytes: number },
  points: Point[],
  measure: (candidate: Allocation) => Promise<number>,
): Promise<Allocation & { readonly measured: number }> {
  const budget = limits.memoryBytes
  const target = budget * (1 - MARGIN)
  const others = { ...limits, memoryBytes: undefined }
  let tooFew = allocate(coupling, thinning, others).steps - 1
  let best: (Allocation & { measured: number }) | undefined
  let enough = thinning.length + 1
  for (let attempt = 0; attempt < ATTEMPTS && enough - tooFew > 1; attempt++) {
    const guess = stepsFor(coupling, thinning, target, points)
    const steps = Math.min(enough - 1, Math.max(tooFew + 1, guess))
    const candidate = after(coupling, thinning, steps)
    const measured = await measure(candidate)
    points.push({ predicted: candidate.footprint.predictedRamBytes, measured })
    if (measured > target) {
      tooFew = steps
      continue
    }
    best = { ...candidate, measured }
    enough = steps
    if (measured >= ENOUGH * budget) break
  }
  if (best) return best
  const floor = after(coupling, thinning, thinning.length)
  const least = await measure(floor)
  if (least > budget) throw new BudgetUnreachable('memory', budget, least)
  return { ...floor, measured: least }
}

function stepsFor(coupling: Coupling, thinning: Thinning, target: number, points: readonly Point[]): number {
  const ram = corrected(points)
  if (ram(after(coupling, thinning, thinning.length).footprint) > target) return thinning.length
  return allocate(coupling, thinning, { memoryBytes: target }, ram).steps
}
