import type { Coupling, Unit } from '../analysis/index.js'
import { estimatorOf, type Resource } from './estimate.js'
import { ladder } from './ladder.js'

/** The units that go, in the order in which they go; each step takes one group down a rung. */
export type Thinning = readonly (readonly Unit[])[]

/**
 * An order in which to thin a network down to its floor: each step takes the units whose saliency is least for what
 * their going saves, as a greedy knapsack does (HALP: Shen et al. 2022, "Structural Pruning via Latency-Saliency
 * Knapsack"). The first steps of one order serve every budget. A group's units weigh the more the fewer are left of it.
 * Scores say which units of a group are worth more than others of it; a group as a whole is worth what it costs, so
 * that all groups shrink alike but for their scores and for what else has gone.
 * @param scores by group, in the order of its units, with a mean of one
 * @param round dimensions stay multiples of it where they can; see `ladder`
 */
export function thinning(
  coupling: Coupling,
  scores: readonly Float64Array[],
  resource: Resource,
  round: number,
): Thinning {
  const estimate = estimatorOf(coupling, resource)
  const groups = coupling.groups.map((group, g) => {
    const worstFirst = group.units
      .map((unit, i) => ({ unit, score: scores[g][i] }))
      .sort((a, b) => a.score - b.score)
    return { worstFirst, rungs: ladder(group, round), rung: 0 }
  })
  const kept = groups.map((g) => g.rungs[0])
  let now = estimate(kept)
  const share = groups.map((_, g) => now - estimate(kept.map((k, i) => (i === g ? k - 1 : k))))

  /** Saliency lost for each unit of cost saved, were group `g` taken down a rung; infinite at its floor. */
  const price = (g: number): number => {
    const { worstFirst, rungs, rung } = groups[g]
    if (rung + 1 >= rungs.length) return Number.POSITIVE_INFINITY
    const n = worstFirst.length
    let lost = 0
    for (let i = n - rungs[rung]; i < n - rungs[rung + 1]; i++) lost += worstFirst[i].score
    const before = kept[g]
    kept[g] = rungs[rung + 1]
    const saved = now - estimate(kept)
    kept[g] = before
    return ((lost + Number.EPSILON) * share[g] * (n / rungs[rung + 1])) / Math.max(saved, 1e-9)
  }

  const steps: Unit[][] = []
  const prices = groups.map((_, g) => price(g))
  for (;;) {
    let best = lowest(prices)
    // Prices mostly rise as others go: only the cheapest one has to be asked again (Minoux 1978).
    for (let asked = 0; asked < groups.length; asked++) {
      prices[best] = price(best)
      const next = lowest(prices)
      if (next === best) break
      best = next
    }
    if (groups.length === 0 || prices[best] === Number.POSITIVE_INFINITY) return steps
    const { worstFirst, rungs, rung } = groups[best]
    const n = worstFirst.length
    steps.push(worstFirst.slice(n - rungs[rung], n - rungs[rung + 1]).map((s) => s.unit))
    groups[best].rung++
    kept[best] = rungs[rung + 1]
    now = estimate(kept)
    prices[best] = price(best)
  }
}

const lowest = (prices: readonly number[]): number =>
  prices.reduce((best, p, i) => (p < prices[best] ? i : best), 0)
