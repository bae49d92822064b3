import type { Round } from './ticket.js'

const WIDTH = 640
const HEIGHT = 320
const EDGE = { left: 56, right: 96, top: 16, bottom: 44 } as const
const series = [
  ['top1Ticket', 'ticket', '#0a7d5a'],
  ['top1Random', 'random', '#c2410c'],
] as const satisfies (readonly [keyof Round, string, string])[]

/** The paper's plot as an SVG: accuracy of ticket and random ticket over the share of weights left, which falls to the right. */
export function ticketPlot(rounds: readonly Round[]): string {
  const left = rounds.map((r) => Math.log(1 - r.sparsity))
  const accuracies = rounds.flatMap((r) => [r.top1Ticket, r.top1Random])
  const [low, high] = [Math.min(...accuracies), Math.max(...accuracies)]
  const room = Math.max(1e-3, high - low) * 0.1
  const inner = { width: WIDTH - EDGE.left - EDGE.right, height: HEIGHT - EDGE.top - EDGE.bottom }
  const x = (log: number) => EDGE.left + (log / Math.min(-1e-9, ...left)) * inner.width
  const y = (top1: number) => EDGE.top + ((high + room - top1) / (high - low + 2 * room)) * inner.height
  const text = (at: readonly [number, number], words: string, anchor: string, fill = '#444') =>
    `<text x="${at[0].toFixed(1)}" y="${at[1].toFixed(1)}" text-anchor="${anchor}" fill="${fill}">${words}</text>`
  const grid = [0, 0.25, 0.5, 0.75, 1].flatMap((share) => {
    const top1 = low + share * (high - low)
    return [
      `<line x1="${EDGE.left}" x2="${WIDTH - EDGE.right}" y1="${y(top1).toFixed(1)}" y2="${y(top1).toFixed(1)}" stroke="#ddd"/>`,
      text([EDGE.left - 8, y(top1) + 4], `${(100 * top1).toFixed(2)} %`, 'end'),
    ]
  })
  const marks = rounds.map((r, i) =>
    text([x(left[i]), HEIGHT - EDGE.bottom + 18], `${+(100 * (1 - r.sparsity)).toPrecision(2)} %`, 'middle'),
  )
  const lines = series.flatMap(([key, name, colour]) => {
    const points = rounds.map((r, i) => [x(left[i]), y(r[key])] as const)
    const [endX, endY] = points[points.length - 1] ?? [0, 0]
    return [
      `<polyline points="${points.map((p) => p.map((v) => v.toFixed(1)).join()).join(' ')}" fill="none" stroke="${colour}" stroke-width="2"/>`,
      ...points.map(
        ([px, py]) => `<circle cx="${px.toFixed(1)}" cy="${py.toFixed(1)}" r="3" fill="${colour}"/>`,
      ),
      text([endX + 8, endY + 4], name, 'start', colour),
    ]
  })
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="system-ui, sans-serif" font-size="12" role="img">`,
    '<title>Lottery tickets: accuracy over the share of weights left</title>',
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    ...grid,
    ...marks,
    text([(EDGE.left + WIDTH - EDGE.right) / 2, HEIGHT - 8], 'weights left', 'middle'),
    ...lines,
    '</svg>',
    '',
  ].join('\n')
}
