import { createRequire } from 'node:module'
import { buffersOf, type Coupling, liveBytes, type Unit } from '@espalier/server/compiler/analysis/index.js'
import { costsWithout, type Expectations } from '@espalier/server/compiler/budget/index.js'
import { type Ranked, removedAt } from '@espalier/server/compiler/budget/ranking.js'
import type { Resource } from '@espalier/server/compiler/limits.js'

/** Its types describe the CommonJS door only. */
const solver: typeof import('highs') = createRequire(import.meta.url)('highs')

/** A linear expression: coefficients by variable, and a constant. */
type Terms = Map<string, number>

/**
 * The least saliency that can be lost so that all bounds hold, by mixed-integer programming (HiGHS): one binary
 * variable for each rung of each group, one for each pair of rungs whose costs do not add up, and the activations' peak
 * as a maximum over all nodes. Exact where costs are sums of terms of at most two groups, and memory is
 * `weight`·(bytes of constants) + `peak`·(bytes of the peak).
 */
export async function leastLost(
  coupling: Coupling,
  ranked: readonly Ranked[],
  bounds: readonly (readonly [Resource, number])[],
  memory: { readonly weight: number; readonly peak: number },
  expect: Expectations,
): Promise<number> {
  const { graph, shapes } = coupling
  /** Everything that is bounded or enters a bound, at a standing: the resources, then the bytes alive at each node. */
  const measured = (at: readonly number[]): number[] => {
    const removed: ReadonlySet<Unit> = removedAt(ranked, at)
    const { costs, footprint } = costsWithout(coupling, removed, expect)
    const dims = coupling.dims(removed)
    const live = liveBytes(buffersOf(graph, dims), graph.nodes.length, dims)
    const own = bounds.map(([r]) => (r === 'memory' ? memory.weight * footprint.weightBytes : costs[r]))
    return [...own, ...[...live].map((bytes) => bytes / shapes.batch)]
  }
  const standing = (...moved: (readonly [number, number])[]) => {
    const at = ranked.map(() => 0)
    for (const [g, r] of moved) at[g] = r
    return measured(at)
  }
  const none = standing()
  const rows: Terms[] = none.map(() => new Map())
  const constraints: string[] = []
  const binaries: string[] = []
  const alone = ranked.map(({ rungs }, g) => rungs.map((_, r) => standing([g, r])))
  const x = (g: number, r: number) => `x${g}_${r}`
  ranked.forEach(({ rungs }, g) => {
    constraints.push(`${rungs.map((_, r) => x(g, r)).join(' + ')} = 1`)
    rungs.forEach((_, r) => {
      binaries.push(x(g, r))
      rows.forEach((terms, k) => {
        terms.set(x(g, r), alone[g][r][k] - none[k])
      })
    })
  })
  for (let g = 0; g < ranked.length; g++)
    for (let h = g + 1; h < ranked.length; h++)
      for (let r = 1; r < ranked[g].rungs.length; r++)
        for (let s = 1; s < ranked[h].rungs.length; s++) {
          const both = standing([g, r], [h, s])
          const extra = both.map((v, k) => v - alone[g][r][k] - alone[h][s][k] + none[k])
          if (extra.every((v, k) => Math.abs(v) <= 1e-9 * none[k])) continue
          const z = `z${g}_${r}_${h}_${s}`
          binaries.push(z)
          constraints.push(`${z} - ${x(g, r)} <= 0`, `${z} - ${x(h, s)} <= 0`)
          constraints.push(`${x(g, r)} + ${x(h, s)} - ${z} <= 1`)
          rows.forEach((terms, k) => {
            terms.set(z, extra[k])
          })
        }
  const linear = (terms: Terms) =>
    [...terms]
      .flatMap(([name, c]) => (c === 0 ? [] : [`${c < 0 ? '-' : '+'} ${Math.abs(c)} ${name}`]))
      .join(' ')
  bounds.forEach(([resource, limit], k) => {
    const peak = resource === 'memory' ? ` + ${memory.peak} peak` : ''
    constraints.push(`${linear(rows[k])}${peak} <= ${limit - none[k]}`)
  })
  for (let k = bounds.length; k < rows.length; k++)
    constraints.push(`${linear(rows[k])} - peak <= ${-none[k]}`)
  const lost: Terms = new Map(ranked.flatMap(({ lost }, g) => lost.map((v, r) => [x(g, r), v] as const)))
  const problem = `Minimize\n obj: ${linear(lost)}\nSubject To\n${constraints
    .map((c, i) => ` c${i}: ${c}`)
    .join('\n')}\nBounds\n peak >= 0\nBinary\n ${binaries.join('\n ')}\nEnd`
  const highs = await solver.default()
  const result = highs.solve(problem, { output_flag: false, mip_rel_gap: 1e-6 })
  if (result.Status !== 'Optimal') throw new Error(`the exact choice ended as ${result.Status}`)
  return result.ObjectiveValue
}
