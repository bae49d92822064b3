import type { Resource } from '../limits.js'
import type { Bounds, Costs } from './costs.js'
import type { Estimator } from './estimate.js'
import { lostAt, type Ranked } from './ranking.js'

/** Which rung each group stands on. */
export type Standing = readonly number[]

/** How often the weights of the limits are set anew. */
const ROUNDS = 8
/** Exchanges are tried while they are this few; beyond, networks have so many groups that one hardly matters. */
const EXCHANGES = 4000

/**
 * Which rung each group goes down to, so that every limit holds by estimate with the least saliency lost; undefined if
 * they do not hold even at the floor.
 *
 * One descent takes, step by step, the group that loses the least saliency for what it saves of the limits that are
 * still exceeded, as a greedy knapsack does (HALP: Shen et al. 2022, "Structural Pruning via Latency-Saliency
 * Knapsack"); several limits are weighed against each other by multipliers, which are then set anew: a limit that was
 * left with room counted for too much (as in the Lagrangian of a knapsack with several constraints, Fisher 1981).
 * What still fits is given back afterwards, and groups exchange rungs where that loses less.
 */
export function search(
  ranked: readonly Ranked[],
  estimator: Estimator,
  bounds: Bounds,
): Standing | undefined {
  const climber = new Climber(ranked, estimator, bounds)
  if (climber.holds()) return climber.at
  let weights = bounds.map(() => 1)
  let best: { at: Standing; lost: number } | undefined
  for (let round = 0; round < ROUNDS; round++) {
    climber.reset()
    if (!climber.descend(weights)) return undefined
    climber.giveBack()
    climber.exchange()
    const lost = lostAt(ranked, climber.at)
    if (!best || lost < best.lost) best = { at: [...climber.at], lost }
    const used = climber.used()
    const tightest = Math.max(...used)
    const next = weights.map((w, i) => w * Math.max(0.05, 1 - 4 * (tightest - used[i])))
    if (bounds.length === 1 || next.every((w, i) => Math.abs(w - weights[i]) < 0.01 * w)) break
    weights = next
  }
  return best?.at
}

/** A standing that moves, with its costs. */
class Climber {
  at: number[]
  readonly #dense: Costs

  constructor(
    readonly ranked: readonly Ranked[],
    readonly estimator: Estimator,
    readonly bounds: Bounds,
  ) {
    this.at = ranked.map(() => 0)
    this.reset()
    this.#dense = estimator.prices()
  }

  reset(): void {
    for (const g of this.ranked.keys()) this.#move(g, 0)
  }

  holds(): boolean {
    const costs = this.estimator.costs()
    return this.bounds.every(([resource, limit]) => costs[resource] <= limit)
  }

  /** Share of each limit that is used. */
  used(): number[] {
    const costs = this.estimator.costs()
    return this.bounds.map(([resource, limit]) => costs[resource] / limit)
  }

  /** Goes down, cheapest step first, until every limit holds. @returns false if they do not at the floor */
  descend(weights: readonly number[]): boolean {
    let exceeded: readonly (readonly [resource: Resource, weight: number, excess: number])[] = []
    let now: Costs = this.#dense
    const look = () => {
      const costs = this.estimator.costs()
      now = this.estimator.prices()
      exceeded = this.bounds.flatMap(([resource, limit], i) =>
        costs[resource] > limit
          ? [
              [
                resource,
                weights[i] / Math.max(1e-12, this.#dense[resource] - limit),
                costs[resource] - limit,
              ] as const,
            ]
          : [],
      )
    }
    /**
     * Saliency lost for each share of the excess saved, were group `g` to go down a rung; infinite at its floor. What
     * is saved beyond the excess counts for nothing: a block may be far more than is needed.
     */
    const price = (g: number): number => {
      const { rungs, lost } = this.ranked[g]
      const rung = this.at[g]
      if (rung + 1 >= rungs.length) return Number.POSITIVE_INFINITY
      this.estimator.set(g, rungs[rung + 1])
      const then = this.estimator.prices()
      this.estimator.set(g, rungs[rung])
      const saved = exceeded.reduce(
        (sum, [r, weight, excess]) => sum + weight * Math.min(excess, now[r] - then[r]),
        0,
      )
      return (lost[rung + 1] - lost[rung]) / Math.max(saved, 1e-15)
    }
    look()
    let prices = this.ranked.map((_, g) => price(g))
    while (exceeded.length > 0) {
      let best = lowest(prices)
      // Prices mostly rise as others go: only the cheapest one has to be asked again (Minoux 1978).
      for (let asked = 0; asked < prices.length; asked++) {
        prices[best] = price(best)
        const next = lowest(prices)
        if (next === best) break
        best = next
      }
      if (prices.length === 0 || prices[best] === Number.POSITIVE_INFINITY) return false
      this.#move(best, this.at[best] + 1)
      const before = exceeded.length
      look()
      if (exceeded.length < before) prices = this.ranked.map((_, g) => price(g))
      else prices[best] = price(best)
    }
    return true
  }

  /** Gives back rungs while every limit holds, what is worth most for what it uses first. */
  giveBack(): void {
    for (;;) {
      let best: { g: number; worth: number } | undefined
      const before = this.estimator.costs()
      for (const [g, { lost }] of this.ranked.entries()) {
        const rung = this.at[g]
        if (rung === 0) continue
        this.#move(g, rung - 1)
        if (this.holds()) {
          const after = this.estimator.costs()
          const uses = this.bounds.reduce(
            (sum, [r, limit]) => sum + Math.max(0, after[r] - before[r]) / Math.max(limit - before[r], 1e-12),
            0,
          )
          const worth = (lost[rung] - lost[rung - 1]) / Math.max(uses, 1e-9)
          if (!best || worth > best.worth) best = { g, worth }
        }
        this.#move(g, rung)
      }
      if (!best) return
      this.#move(best.g, this.at[best.g] - 1)
    }
  }

  /** One group down a rung and others up again, wherever that loses less saliency in all. */
  exchange(): void {
    let left = EXCHANGES
    for (let found = true; found && left > 0; ) {
      found = false
      for (const [g, { rungs }] of this.ranked.entries()) {
        if (this.at[g] + 1 >= rungs.length || left <= 0) continue
        left -= this.ranked.length
        const was = [...this.at]
        const lost = lostAt(this.ranked, was)
        this.#move(g, this.at[g] + 1)
        this.giveBack()
        if (lostAt(this.ranked, this.at) < lost - 1e-9 * lost) found = true
        else
          was.forEach((rung, h) => {
            this.#move(h, rung)
          })
      }
    }
  }

  #move(g: number, rung: number): void {
    this.at[g] = rung
    this.estimator.set(g, this.ranked[g].rungs[rung])
  }
}

const lowest = (prices: readonly number[]): number =>
  prices.reduce((best, p, i) => (p < prices[best] ? i : best), 0)
