import { escaped } from './text.js'

const WIDTH = 640
const HEIGHT = 320
const EDGE = { left: 64, right: 128, top: 16, bottom: 44 } as const
/** Pixels between the names of two lines that end at about the same height. */
const NAME_HEIGHT = 14
const HALF_CHARACTER = 3.5

export interface Tick {
  readonly at: number
  readonly words: string
}

export interface Axis {
  readonly label?: string
  /** The first and the last are the axis' ends; numbers may fall. */
  readonly ticks: readonly Tick[]
}

export interface Series {
  /** Stands at the line's end; nothing does where it is empty. */
  readonly name: string
  readonly colour: string
  readonly points: readonly (readonly [x: number, y: number])[]
  /** Solid by default; with `none` only its dots are drawn. */
  readonly line?: 'solid' | 'dashed' | 'none'
  /** One for each point: what a reader who stays on it is told. No dots are drawn where there are none. */
  readonly dots?: readonly { readonly title: string; readonly open?: boolean; readonly words?: string }[]
}

/** So many ticks at equal distances between two numbers, both included. */
export const evenTicks = (low: number, high: number, count: number, words: (at: number) => string): Tick[] =>
  Array.from({ length: count }, (_, i) => low + ((high - low) * i) / (count - 1)).map((at) => ({
    at,
    words: words(at),
  }))

export const percent = (share: number, digits = 0): string => `${(100 * share).toFixed(digits)} %`

/** Lines and dots over two axes, as an SVG of a fixed size. */
export function linePlot({
  title,
  x: across,
  y: up,
  series,
}: {
  readonly title: string
  readonly x: Axis
  readonly y: Axis
  readonly series: readonly Series[]
}): string {
  const x = scale(across, EDGE.left, WIDTH - EDGE.right)
  const y = scale(up, HEIGHT - EDGE.bottom, EDGE.top)
  const grid = up.ticks.flatMap(({ at, words }) => [
    `<line x1="${EDGE.left}" x2="${WIDTH - EDGE.right}" y1="${px(y(at))}" y2="${px(y(at))}" stroke="#ddd"/>`,
    text([EDGE.left - 8, y(at) + 4], words, 'end'),
  ])
  const marks = apart(across.ticks, x).map(({ at, words }) =>
    text([x(at), HEIGHT - EDGE.bottom + 18], words, 'middle'),
  )
  const lines = series.flatMap(({ points, colour, line = 'solid', dots = [] }) => {
    const pixels = points.map(([px, py]) => [x(px), y(py)] as const)
    const path = pixels.map((p) => p.map(px).join()).join(' ')
    const dashes = line === 'dashed' ? ' stroke-dasharray="2 5"' : ''
    return [
      ...(line === 'none'
        ? []
        : [`<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="2"${dashes}/>`]),
      ...dots.flatMap((dot, i) => drawn(dot, pixels[i], colour)),
    ]
  })
  const label = text([(EDGE.left + WIDTH - EDGE.right) / 2, HEIGHT - 8], across.label ?? '', 'middle')
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="system-ui, sans-serif" font-size="12" role="img">`,
    `<title>${escaped(title)}</title>`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    ...grid,
    ...marks,
    label,
    ...lines,
    ...names(series, y),
    '</svg>',
    '',
  ].join('\n')
}

type Scale = (value: number) => number

function scale({ ticks }: Axis, from: number, to: number): Scale {
  const [first, last] = [ticks[0]?.at ?? 0, ticks[ticks.length - 1]?.at ?? 1]
  const span = last - first || 1
  return (value) => from + ((value - first) / span) * (to - from)
}

function drawn(
  { title, open, words }: NonNullable<Series['dots']>[number],
  [cx, cy]: readonly [number, number],
  colour: string,
): string[] {
  const fill = open ? '#fff' : colour
  return [
    `<circle cx="${px(cx)}" cy="${px(cy)}" r="3.5" fill="${fill}" stroke="${colour}"><title>${escaped(title)}</title></circle>`,
    ...(words ? [text([cx, cy - 8], words, 'middle', colour)] : []),
  ]
}

/** The ticks whose words do not cover those before them. */
function apart(ticks: readonly Tick[], x: Scale): Tick[] {
  let free = 0
  return ticks.filter(({ at, words }) => {
    const half = words.length * HALF_CHARACTER
    if (x(at) - half < free) return false
    free = x(at) + half + HALF_CHARACTER
    return true
  })
}

/** The lines' names at the right edge, at the height of their ends, moved apart where they would cover one another. */
function names(series: readonly Series[], y: Scale): string[] {
  const ends = series
    .flatMap(({ name, colour, points }) => {
      const end = points[points.length - 1]
      return name && end ? [{ name, colour, height: y(end[1]) + 4 }] : []
    })
    .sort((a, b) => a.height - b.height)
  const placed: number[] = []
  for (const { height } of ends) placed.push(Math.max(height, (placed[placed.length - 1] ?? 0) + NAME_HEIGHT))
  let ground = HEIGHT - EDGE.bottom + 4
  for (let i = placed.length - 1; i >= 0; i--, ground -= NAME_HEIGHT) placed[i] = Math.min(placed[i], ground)
  return ends.map(({ name, colour }, i) => text([WIDTH - EDGE.right + 8, placed[i]], name, 'start', colour))
}

const px = (value: number) => value.toFixed(1)

const text = (
  at: readonly [number, number],
  words: string,
  anchor: 'start' | 'middle' | 'end',
  fill = '#444',
): string =>
  `<text x="${px(at[0])}" y="${px(at[1])}" text-anchor="${anchor}" fill="${fill}">${escaped(words)}</text>`
