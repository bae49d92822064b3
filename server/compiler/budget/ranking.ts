import type { Coupling, Unit } from '../analysis/index.js'
import { ladder } from './ladder.js'

/** The units of a group, or a block alone, in the order in which they go, and what is lost on the way. */
export interface Ranked {
  readonly worstFirst: readonly Unit[]
  /** How many units may be kept, most first. */
  readonly rungs: readonly number[]
  /** Saliency that is lost once only so many rungs' units are kept; 0 at the first. */
  readonly lost: readonly number[]
}

interface RankOptions {
  /** Dimensions stay multiples of it where they can; see `ladder`. */
  readonly round: number
  /** Share of the blocks that stays, the best. */
  readonly depth: number
  /** Latency with so many units in one group: counts that run no faster than they should are left out. */
  readonly msOf?: (g: number, kept: number) => number
}

/** What groups and blocks are worth against each other. */
export interface Worth {
  /** Of a unit of average score, by group; then of each block. */
  readonly units: readonly number[]
  /** Whether a unit weighs the more the fewer are left of its group, as in a logarithm: where scores do not say so. */
  readonly rising: boolean
}

/**
 * Every group's units by their saliency, and the blocks, each for itself. A step down weighs what its units are worth.
 * A block alone is worth its score times what it saves; it weighs the more the fewer are left once worse ones went.
 * @param scores by group, in the order of its units, and of the blocks
 */
export function rank(
  coupling: Coupling,
  scores: readonly Float64Array[],
  worth: Worth,
  { round, depth, msOf }: RankOptions,
): Ranked[] {
  const groups = coupling.groups.map((group, g): Ranked => {
    const n = group.units.length
    const mean = meanOf(scores[g])
    const order = group.units
      .map((unit, i) => ({ unit, score: mean > 0 ? scores[g][i] / mean : 1 }))
      .sort((a, b) => a.score - b.score)
    const rungs = msOf ? faster(ladder(group, round), (kept) => msOf(g, kept)) : ladder(group, round)
    const lost = [0]
    for (let r = 1; r < rungs.length; r++) {
      const step = order.slice(n - rungs[r - 1], n - rungs[r])
      const sum = step.reduce((total, { score }) => total + score, 0)
      const fewer = worth.rising ? n / rungs[r] : 1
      lost.push(lost[r - 1] + (sum + Number.EPSILON) * worth.units[g] * fewer)
    }
    return { worstFirst: order.map((o) => o.unit), rungs, lost }
  })
  return [...groups, ...rankBlocks(coupling, scores[groups.length], worth.units.slice(groups.length), depth)]
}

function rankBlocks(
  { blocks }: Coupling,
  scores: Float64Array,
  worth: readonly number[],
  depth: number,
): Ranked[] {
  const worstFirst = [...blocks.keys()].sort((a, b) => scores[a] - scores[b])
  const stay = new Set(worstFirst.slice(blocks.length - Math.ceil(depth * blocks.length - 1e-9)))
  return blocks.map((block, b) => {
    const n = blocks.length
    const lost = ((scores[b] + Number.EPSILON) * worth[b] * n) / (n - worstFirst.indexOf(b))
    return stay.has(b)
      ? { worstFirst: [block], rungs: [1], lost: [0] }
      : { worstFirst: [block], rungs: [1, 0], lost: [0, lost] }
  })
}

/** What a count must save, or may take more than counts around it do, as a share of what the whole group can save. */
const CLEARLY = 0.01
const HARDLY = 0.02

/**
 * Rungs that run as fast as they should: without those that are hardly faster than the one above, and those that take
 * clearly more than in between of slower and faster ones, as counts between two blocks do. First and last stay.
 */
function faster(rungs: readonly number[], msOf: (kept: number) => number): number[] {
  const times = new Map(rungs.map((kept) => [kept, msOf(kept)]))
  const ms = (kept: number) => times.get(kept) ?? 0
  const last = rungs[rungs.length - 1]
  const range = ms(rungs[0]) - ms(last)
  const taken = [rungs[0]]
  for (const kept of rungs.slice(1))
    if (kept === last || ms(taken[taken.length - 1]) - ms(kept) >= CLEARLY * range) taken.push(kept)
  return taken.filter((kept, i) => {
    const between = taken
      .slice(0, i)
      .flatMap((a) => taken.slice(i + 1).map((b) => ms(b) + ((ms(a) - ms(b)) * (kept - b)) / (a - b)))
    return ms(kept) <= Math.min(...between) + HARDLY * range
  })
}

/** The mean of scores; none have none. */
export const meanOf = (scores: Float64Array): number =>
  scores.reduce((sum, v) => sum + v, 0) / Math.max(1, scores.length)

/** The units that go where each group stands on a rung. */
export const removedAt = (ranked: readonly Ranked[], at: readonly number[]): Set<Unit> =>
  new Set(ranked.flatMap(({ worstFirst, rungs }, g) => worstFirst.slice(0, worstFirst.length - rungs[at[g]])))

/** Saliency lost where each group stands on a rung. */
export const lostAt = (ranked: readonly Ranked[], at: readonly number[]): number =>
  ranked.reduce((sum, { lost }, g) => sum + lost[at[g]], 0)

/** The last rung of every group. */
export const floorOf = (ranked: readonly Ranked[]): number[] => ranked.map(({ rungs }) => rungs.length - 1)
