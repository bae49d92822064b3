import type { Coupling, Unit } from '../analysis/index.js'
import type { Resource } from '../limits.js'
import {
  type Bounds,
  boundsOf,
  type Costed,
  costsWithout,
  type Expectations,
  type Limits,
  requireReachable,
} from './costs.js'
import { Estimator } from './estimate.js'
import { floorOf, lostAt, meanOf, type Ranked, rank, removedAt, type Worth } from './ranking.js'
import { type Standing, search } from './search.js'

export interface Allocation extends Costed {
  readonly removed: ReadonlySet<Unit>
  /** Share of the saliency that is kept: 1 for the dense network, 0 at its floor. */
  readonly saliency: number
  /** The limit that leaves the least room; null where the dense network meets all of them. */
  readonly bound: Resource | null
  /** Share of that limit that is used; 1 where none bound. */
  readonly used: number
  /** What dimensions were kept multiples of, where they could be. */
  readonly round: number
}

export interface AllocateOptions {
  /** Dimensions stay multiples of it where they can; 8 by default. */
  readonly round?: number
  /** At least this share of the blocks stays, the best; 0 by default. */
  readonly depth?: number
  readonly expect?: Expectations
  /** Gives the floor where limits do not hold even there, instead of refusing them. */
  readonly orFloor?: boolean
}

/** How often an estimate is corrected by the exact cost of what it led to. */
const CORRECTIONS = 6
/** How many exact costs are asked to see what else fits. */
const GIVE_BACKS = 100

interface Found {
  readonly at: Standing
  readonly cost: Costed
  readonly lost: number
}

/** Groups and blocks with what is lost on every rung, and the limits that the dense network exceeds. */
export function problemOf(
  coupling: Coupling,
  scores: readonly Float64Array[],
  limits: Limits,
  { round = 8, depth = 0, expect = {} }: AllocateOptions = {},
) {
  const dense = costsWithout(coupling, [], expect)
  const asked = boundsOf(limits).filter(([resource, limit]) => dense.costs[resource] > limit)
  const estimator = new Estimator(coupling, expect)
  const msOf = (g: number, kept: number) => {
    const before = estimator.kept[g]
    estimator.set(g, kept)
    const { latency } = estimator.costs()
    estimator.set(g, before)
    return latency
  }
  const worth = worthOf(coupling, estimator, asked, scores)
  const ranked = rank(coupling, scores, worth, { round, depth, msOf: expect.latency && msOf })
  return { dense, asked, estimator, ranked }
}

/**
 * Which units go so that every limit holds, exactly, and the most saliency is kept.
 * @param scores by group, in the order of its units, as a Criterion gives them
 * @throws BUDGET_UNREACHABLE with the least that this network can be brought to
 */
export function allocate(
  coupling: Coupling,
  scores: readonly Float64Array[],
  limits: Limits,
  options: AllocateOptions = {},
): Allocation {
  const { round = 8, expect } = options
  const { dense, asked, estimator, ranked } = problemOf(coupling, scores, limits, options)
  if (asked.length === 0) return { ...dense, removed: new Set(), saliency: 1, bound: null, used: 1, round }
  const floor = floorOf(ranked)
  const least = costsWithout(coupling, removedAt(ranked, floor), expect)
  if (!options.orFloor) requireReachable(limits, least.costs)
  let best: Found = {
    at: floor,
    cost: least,
    lost: lostAt(ranked, floor),
  }
  let aimed = asked
  for (let i = 0; i < CORRECTIONS; i++) {
    const at = search(ranked, estimator, aimed)
    if (!at) break
    const cost = costsWithout(coupling, removedAt(ranked, at), expect)
    const lost = lostAt(ranked, at)
    const holds = asked.every(([resource, limit]) => cost.costs[resource] <= limit)
    if (holds && lost < best.lost) best = { at, cost, lost }
    const estimate = estimator.at(ranked.map(({ rungs }, g) => rungs[at[g]]))
    const wrong = asked.map(([resource]) => estimate[resource] - cost.costs[resource])
    if (holds && asked.every(([, limit], k) => Math.abs(wrong[k]) < 1e-3 * limit)) break
    aimed = asked.map(([resource, limit], k) => [resource, limit + wrong[k]] as const)
  }
  best = givenBack(
    best,
    (at) => {
      const cost = costsWithout(coupling, removedAt(ranked, at), expect)
      return asked.every(([resource, limit]) => cost.costs[resource] <= limit) ? cost : undefined
    },
    ranked,
  )
  const room = ([resource, limit]: Bounds[number]) =>
    (limit - best.cost.costs[resource]) / (dense.costs[resource] - least.costs[resource])
  const [bound, limit] = asked.reduce((a, b) => (room(b) < room(a) ? b : a))
  return {
    ...best.cost,
    removed: removedAt(ranked, best.at),
    saliency: 1 - best.lost / lostAt(ranked, floor),
    bound,
    used: best.cost.costs[bound] / limit,
    round,
  }
}

/** What still fits by exact costs, where the estimate was cautious; what is worth most is tried first. */
function givenBack(
  found: Found,
  cost: (at: Standing) => Costed | undefined,
  ranked: readonly Ranked[],
): Found {
  const gain = (g: number, rung: number) => ranked[g].lost[rung] - ranked[g].lost[rung - 1]
  let now = found
  for (let left = GIVE_BACKS; left > 0; ) {
    const raisable = now.at.flatMap((rung, g) => (rung > 0 ? [[g, rung] as const] : []))
    const larger = raisable
      .sort(([g, r], [h, s]) => gain(h, s) - gain(g, r))
      .slice(0, left)
      .reduce<Found | undefined>((best, [g]) => {
        if (best) return best
        left--
        const at = now.at.map((r, h) => (h === g ? r - 1 : r))
        const larger = cost(at)
        return larger && { at, cost: larger, lost: lostAt(ranked, at) }
      }, undefined)
    if (!larger) return now
    now = larger
  }
  return now
}

/** The network with one unit in every group and no block: the least that it can be brought to. */
export function floor(coupling: Coupling, expect: Expectations = {}): Costed & Pick<Allocation, 'removed'> {
  const removed = new Set([...coupling.groups.flatMap((g) => g.units.slice(1)), ...coupling.blocks])
  return { ...costsWithout(coupling, removed, expect), removed }
}

/**
 * What units of different groups, and blocks, are worth. Where every group's scores have a mean of one they say nothing
 * of that, and a unit is worth what it costs of the limits that are exceeded, as the half of its group shows, so that
 * groups shrink alike. Otherwise it is the geometric mean of that and of what its group's mean says, each as a share of
 * all: by the scores alone (Molchanov et al. 2019) whole layers are lost at small budgets, by the costs alone what the
 * scores know is. Blocks are worth what they cost.
 */
function worthOf(
  { groups }: Coupling,
  estimator: Estimator,
  asked: Bounds,
  scores: readonly Float64Array[],
): Worth {
  const dense = estimator.prices()
  const costs = estimator.kept.map((all, g) => {
    const half = g < groups.length ? Math.max(1, all >> 1) : 0
    estimator.set(g, half)
    const without = estimator.prices()
    estimator.set(g, all)
    const saved = asked.map(([r]) => Math.max(0, dense[r] - without[r]) / dense[r] / Math.max(1, all - half))
    return saved.reduce((sum, s) => sum + s, 0) / asked.length
  })
  const means = groups.map((_, g) => meanOf(scores[g]))
  if (means.every((m) => Math.abs(m - 1) < 1e-6)) return { units: costs, rising: true }
  const sum = (values: readonly number[]) => values.reduce((total, v) => total + v, 0)
  const [allCosts, allMeans] = [sum(costs.slice(0, groups.length)), sum(means)]
  const share = (c: number, g: number) =>
    g < groups.length ? Math.sqrt((c / allCosts) * (means[g] / allMeans)) : c / allCosts
  return { units: costs.map(share), rising: false }
}
