import { formatBytes } from '@espalier/shared'
import { evenTicks, linePlot, percent } from '../drawing/index.js'
import type { FrontierPoint } from '../frontier.js'
import type { VariantResult } from './options.js'

const series = [
  ['saliency', 'saliency', '#0a7d5a'],
  ['macs', 'MACs', '#8a5cd1'],
] as const satisfies (readonly [keyof FrontierPoint, string, string])[]

/**
 * What each budget buys, as an SVG: shares of saliency and of MACs kept over expected memory, and, where variants were
 * measured, a dot at their measured memory and accuracy.
 */
export function frontierPlot(
  points: readonly FrontierPoint[],
  variants: readonly Pick<VariantResult, 'name' | 'measuredRamBytes' | 'top1'>[],
): string {
  const measured = variants.flatMap(({ name, measuredRamBytes, top1 }) =>
    top1 === null ? [] : [{ name, memoryBytes: measuredRamBytes, top1 }],
  )
  const memories = [...points, ...measured].map((p) => p.memoryBytes)
  return linePlot({
    title: 'What each budget of memory buys',
    x: {
      label: 'memory; dots: top-1 of variants as measured',
      ticks: evenTicks(Math.min(...memories), Math.max(...memories), 5, formatBytes),
    },
    y: { ticks: evenTicks(0, 1, 5, percent) },
    series: [
      ...series.map(([key, name, colour]) => ({
        ...{ name, colour, points: points.map((p) => [p.memoryBytes, p[key]] as const) },
      })),
      {
        ...{ name: '', colour: '#c2410c', line: 'none' as const },
        points: measured.map((m) => [m.memoryBytes, m.top1] as const),
        dots: measured.map(({ name, top1 }) => ({
          title: `${name}: top-1 ${percent(top1, 2)}`,
          words: percent(top1, 1),
        })),
      },
    ],
  })
}
