import { formatBytes } from '@espalier/shared'
import type { FrontierPoint } from '../frontier.js'
import type { VariantResult } from './options.js'

const WIDTH = 640
const HEIGHT = 320
const EDGE = { left: 56, right: 96, top: 16, bottom: 44 } as const

const series = [
  ['saliency', '#0a7d5a'],
  ['macs', '#8a5cd1'],
] as const satisfies (readonly [keyof FrontierPoint, string])[]
const names = { saliency: 'saliency', macs: 'MACs' } as const

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
  const [least, most] = [Math.min(...memories), Math.max(...memories)]
  const x = (bytes: number) =>
    EDGE.left + ((bytes - least) / Math.max(1, most - least)) * (WIDTH - EDGE.left - EDGE.right)
  const y = (share: number) => HEIGHT - EDGE.bottom - share * (HEIGHT - EDGE.top - EDGE.bottom)
  const text = (at: [number, number], words: string, anchor: 'start' | 'middle' | 'end', fill = '#444') =>
    `<text x="${at[0].toFixed(1)}" y="${at[1].toFixed(1)}" text-anchor="${anchor}" fill="${fill}">${escaped(words)}</text>`
  const grid = [0, 0.25, 0.5, 0.75, 1].flatMap((share) => [
    `<line x1="${EDGE.left}" x2="${WIDTH - EDGE.right}" y1="${y(share)}" y2="${y(share)}" stroke="#ddd"/>`,
    text([EDGE.left - 8, y(share) + 4], `${100 * share} %`, 'end'),
  ])
  const marks = [0, 1, 2, 3, 4].map((i) => {
    const bytes = least + ((most - least) * i) / 4
    return text([x(bytes), HEIGHT - EDGE.bottom + 18], formatBytes(bytes), 'middle')
  })
  const lines = series.flatMap(([key, colour]) => {
    const path = points.map((p) => `${x(p.memoryBytes).toFixed(1)},${y(p[key]).toFixed(1)}`).join(' ')
    const last = points[points.length - 1]
    return [
      `<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="2"/>`,
      ...(last
        ? [
            text(
              [x(last.memoryBytes) + 6, y(last[key]) + (key === 'macs' ? 14 : 2)],
              names[key],
              'start',
              colour,
            ),
          ]
        : []),
    ]
  })
  const dots = measured.flatMap(({ name, memoryBytes, top1 }) => [
    `<circle cx="${x(memoryBytes).toFixed(1)}" cy="${y(top1).toFixed(1)}" r="4" fill="#c2410c"><title>${escaped(`${name}: top-1 ${(100 * top1).toFixed(2)} %`)}</title></circle>`,
    text([x(memoryBytes), y(top1) - 8], `${(100 * top1).toFixed(1)} %`, 'middle', '#c2410c'),
  ])
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="system-ui, sans-serif" font-size="12" role="img">`,
    '<title>What each budget of memory buys</title>',
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    ...grid,
    ...marks,
    text(
      [(EDGE.left + WIDTH - EDGE.right) / 2, HEIGHT - 8],
      'memory; dots: top-1 of variants as measured',
      'middle',
    ),
    ...lines,
    ...dots,
    '</svg>',
    '',
  ].join('\n')
}

const escaped = (text: string) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
