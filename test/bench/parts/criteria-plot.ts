import { evenTicks, linePlot, percent } from '@espalier/server/compiler/drawing/index.js'
import type { CriterionRow } from '../criteria.js'

const colours = ['#0a7d5a', '#2563eb', '#8a5cd1', '#d97706', '#b45309', '#c2410c', '#0e7490', '#6b7280']

/** Top-1 over the share of the MACs that is removed, a line a criterion, from the dense network's. */
export function criteriaPlot(
  rows: readonly CriterionRow[],
  when: 'before' | 'statistics' | 'after',
  title: string,
): string {
  const dense = rows.find((r) => r.criterion === 'dense')
  const criteria = [...new Set(rows.map((r) => r.criterion))].filter((c) => c !== 'dense')
  const removed = [...new Set(rows.map((r) => r.removed))].sort((a, b) => a - b)
  const [low, high] = [
    Math.floor(10 * Math.min(...rows.map((r) => r[when]))),
    Math.ceil(10 * (dense?.[when] ?? 1)),
  ]
  return linePlot({
    title,
    x: { label: 'MACs removed', ticks: removed.map((at) => ({ at, words: percent(at) })) },
    y: { ticks: evenTicks(low / 10, high / 10, high - low + 1, percent) },
    series: criteria.map((name, i) => {
      const own = rows
        .filter((r) => r.criterion === name || r === dense)
        .sort((a, b) => a.removed - b.removed)
      return {
        ...{ name, colour: colours[i % colours.length] },
        points: own.map((r) => [r.removed, r[when]] as const),
        dots: own.map((r) => ({ title: `${r.criterion}: ${percent(r[when], 1)}` })),
      }
    }),
  })
}
