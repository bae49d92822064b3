import type { Coupling, Unit } from '../analysis/index.js'

/**
 * The units that go so that each group keeps its `share` of best ones, rounded up to a multiple of `round`
 * (and down to what the group has); at least one stays. Of the blocks the best stay, the share `depth` of them.
 * @param scores as a Criterion gives them
 */
export function keepShare(
  coupling: Coupling,
  scores: readonly Float64Array[],
  { share, round = 1, depth = 1 }: { share: number; round?: number; depth?: number },
): Set<Unit> {
  const removed = new Set<Unit>()
  const removeWorst = (units: readonly Unit[], own: Float64Array, keep: number) => {
    const worst = units.map((unit, i) => ({ unit, score: own[i] })).sort((a, b) => a.score - b.score)
    for (const { unit } of worst.slice(0, units.length - keep)) removed.add(unit)
  }
  // 0.7 · 10 is 7.000…01 in floating point: that is seven, not eight.
  const part = (of: number, n: number) => Math.ceil(of * n - 1e-9)
  coupling.groups.forEach(({ units }, g) => {
    const wanted = Math.max(1, part(share, units.length))
    removeWorst(units, scores[g], Math.min(units.length, Math.ceil(wanted / round) * round))
  })
  const { blocks, groups } = coupling
  removeWorst(blocks, scores[groups.length], part(depth, blocks.length))
  return removed
}
