/** A point, in px; y runs down. */
export type Point = readonly [x: number, y: number]

export interface Box {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

/** A piece of an edge; where an edge goes on in another column both ends carry the same mark. */
export interface Piece {
  readonly from: number
  readonly to: number
  readonly points: readonly Point[]
  /** Marks, as letters, of a beginning and an end at a column's edge. */
  readonly begins?: Mark
  readonly ends?: Mark
}

export interface Mark {
  readonly at: Point
  readonly text: string
}

export interface Layout {
  readonly width: number
  readonly height: number
  /** By node; x and y are the middle. */
  readonly boxes: readonly Box[]
  readonly pieces: readonly Piece[]
}

type Edge = readonly [from: number, to: number]

const RANK_GAP = 30
const COLUMN_GAP = 56
/** Room at the top and bottom of a column for the marks of edges that go on elsewhere. */
const MARK_ROOM = 34
/** A picture as wide as this many times its height is read well on a screen. */
const ASPECT = 1.5

/**
 * Places nodes so that edges run down (dagre: Gansner et al. 1993, "A Technique for Drawing Directed Graphs"), then
 * wraps the long picture into columns as text is wrapped into lines.
 */
export async function layout(
  sizes: readonly { width: number; height: number }[],
  edges: readonly Edge[],
): Promise<Layout> {
  const { Graph, layout: place } = await import('@dagrejs/dagre')
  const g = new Graph<object, Placed, Routed>()
  g.setGraph({ rankdir: 'TB', nodesep: 26, edgesep: 20, ranksep: RANK_GAP })
  sizes.forEach((size, i) => {
    g.setNode(String(i), { ...size })
  })
  for (const [from, to] of edges) g.setEdge(String(from), String(to), {})
  place(g)
  const boxes = sizes.map((size, i): Box => {
    const { x = 0, y = 0 } = g.node(String(i)) ?? {}
    return { ...size, x, y }
  })
  const lines = edges.map(([from, to]) => {
    const bent: Routed['points'] = g.edge(String(from), String(to))?.points
    const [a, b] = [boxes[from], boxes[to]]
    const bends = (bent ?? []).slice(1, -1).map(({ x, y }): Point => [x, y])
    const points: readonly Point[] = [[a.x, a.y + a.height / 2], ...bends, [b.x, b.y - b.height / 2]]
    return { from, to, points }
  })
  return wrapped(boxes, lines)
}

/** What dagre writes into its labels. */
interface Placed {
  readonly width: number
  readonly height: number
  readonly x?: number
  readonly y?: number
}
interface Routed {
  readonly points?: readonly { x: number; y: number }[]
}

interface Line {
  readonly from: number
  readonly to: number
  readonly points: readonly Point[]
}

/** Ranks from top to bottom: where each begins and ends. */
function ranksOf(boxes: readonly Box[]): { top: number; bottom: number }[] {
  const ranks = new Map<number, { top: number; bottom: number }>()
  for (const { y, height } of boxes) {
    const key = Math.round(y)
    const rank = ranks.get(key) ?? { top: y, bottom: y }
    ranks.set(key, { top: Math.min(rank.top, y - height / 2), bottom: Math.max(rank.bottom, y + height / 2) })
  }
  return [...ranks].sort(([a], [b]) => a - b).map(([, rank]) => rank)
}

function wrapped(boxes: readonly Box[], lines: readonly Line[]): Layout {
  const ranks = ranksOf(boxes)
  let best: Layout | undefined
  for (let columns = 1; columns <= Math.min(ranks.length, 24); columns++) {
    const made = inColumns(boxes, lines, breaksOf(ranks, lines, columns))
    const off = (l: Layout) => Math.abs(Math.log(l.width / l.height / ASPECT))
    if (!best || off(made) < off(best)) best = made
    if (made.width > ASPECT * made.height) break
  }
  return best ?? { width: 0, height: 0, boxes, pieces: [] }
}

/** Where columns end: below ranks, about equally far apart, where the fewest edges cross. */
function breaksOf(
  ranks: readonly { top: number; bottom: number }[],
  lines: readonly Line[],
  columns: number,
): number[] {
  const bottom = ranks[ranks.length - 1]?.bottom ?? 0
  const gaps = ranks.slice(0, -1).map((r, i) => ({
    y: (r.bottom + ranks[i + 1].top) / 2,
    crossing: new Set(lines.filter((l) => spans(l, (r.bottom + ranks[i + 1].top) / 2)).map((l) => l.from))
      .size,
  }))
  const breaks: number[] = []
  for (let c = 1; c < columns; c++) {
    const wanted = (bottom * c) / columns
    const least = breaks[breaks.length - 1] ?? 0
    const price = (g: (typeof gaps)[number]) => (8 * Math.abs(g.y - wanted) * columns) / bottom + g.crossing
    const best = gaps
      .filter((g) => g.y > least)
      .reduce<(typeof gaps)[number] | undefined>((a, b) => (a && price(a) <= price(b) ? a : b), undefined)
    if (best) breaks.push(best.y)
  }
  return breaks
}

const spans = ({ points }: Line, y: number) =>
  points.length > 0 && points[0][1] < y && points[points.length - 1][1] > y

function inColumns(boxes: readonly Box[], lines: readonly Line[], breaks: readonly number[]): Layout {
  const columnOf = (y: number) => breaks.filter((b) => b < y).length
  const parts = lines.flatMap((line) => cut(line, breaks))
  const columns = [...breaks, Number.POSITIVE_INFINITY].map((_, c) => {
    const own = boxes.filter((b) => columnOf(b.y) === c)
    const mine = parts.filter((p) => p.column === c)
    const xs = [
      ...own.flatMap((b) => [b.x - b.width / 2, b.x + b.width / 2]),
      ...mine.flatMap((p) => p.points.map(([x]) => x)).flatMap((x) => [x - 10, x + 10]),
    ]
    const ys = [
      ...own.flatMap((b) => [b.y - b.height / 2, b.y + b.height / 2]),
      ...mine.flatMap((p) => p.points.map(([, y]) => y)),
    ]
    return { left: Math.min(...xs), right: Math.max(...xs), top: Math.min(...ys), bottom: Math.max(...ys) }
  })
  let x = 0
  const shifts = columns.map(({ left, right, top }, c) => {
    const shift = [x - left, (c > 0 ? MARK_ROOM : 0) - top] as const
    x += right - left + COLUMN_GAP
    return shift
  })
  const move = ([px, py]: Point, c: number): Point => [px + shifts[c][0], py + shifts[c][1]]
  const marks = new Map<string, string>()
  const mark = (from: number, at: Point): Mark => {
    const text = marks.get(String(from)) ?? letters(marks.size)
    marks.set(String(from), text)
    return { at, text }
  }
  const last = breaks.length
  return {
    width: x - COLUMN_GAP,
    height: Math.max(...columns.map(({ bottom }, c) => bottom + shifts[c][1] + (c < last ? MARK_ROOM : 0))),
    boxes: boxes.map((b) => {
      const [bx, by] = move([b.x, b.y], columnOf(b.y))
      return { ...b, x: bx, y: by }
    }),
    pieces: parts.map(({ column, from, to, points, begins, ends }) => {
      const moved = points.map((p) => move(p, column))
      return {
        from,
        to,
        points: moved,
        begins: begins ? mark(from, moved[0]) : undefined,
        ends: ends ? mark(from, moved[moved.length - 1]) : undefined,
      }
    }),
  }
}

interface Part extends Line {
  readonly column: number
  readonly begins: boolean
  readonly ends: boolean
}

/** The parts of an edge in each column. They end a little past a column's last rank and begin as far before its first. */
function cut(line: Line, breaks: readonly number[]): Part[] {
  const parts: Part[] = []
  let points: Point[] = []
  let begins = false
  let column = breaks.filter((b) => b < (line.points[0]?.[1] ?? 0)).length
  line.points.forEach((p, i) => {
    const before = line.points[i - 1]
    while (before && column < breaks.length && p[1] > breaks[column]) {
      const y = breaks[column]
      const from = points[points.length - 1] ?? before
      points.push([from[0], y])
      parts.push({ ...line, points, column, begins, ends: true })
      points = [[from[0], y]]
      begins = true
      column++
    }
    points.push(p)
  })
  parts.push({ ...line, points, column, begins, ends: false })
  return parts
}

/** a, b, … z, aa, ab, … */
const letters = (n: number): string =>
  (n < 26 ? '' : letters(Math.floor(n / 26) - 1)) + String.fromCharCode(97 + (n % 26))
