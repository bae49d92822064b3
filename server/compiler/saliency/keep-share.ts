import type { Coupling, Unit } from '../analysis/index.js'

/**
 * The units that go so that each group keeps its `share` of best ones, rounded up to a multiple of `round`
 * (and down to what the group has); at least one stays.
 * @param scores as a Criterion gives them
 */
export function keepShare(
  coupling: Coupling,
  scores: readonly Float64Array[],
  { share, round = 1 }: { share: number; round?: number },
): Set<Unit> {
  const removed = new Set<Unit>()
  coupling.groups.forEach((group, g) => {
    const n = group.units.length
    // 0.7 · 10 is 7.000…01 in floating point: that is seven, not eight.
    const wanted = Math.max(1, Math.ceil(share * n - 1e-9))
    const keep = Math.min(n, Math.ceil(wanted / round) * round)
    const worst = group.units
      .map((unit, i) => ({ unit, score: scores[g][i] }))
      .sort((a, b) => a.score - b.score)
    for (const { unit } of worst.slice(0, n - keep)) removed.add(unit)
  })
  return removed
}
