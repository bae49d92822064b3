import { type Architecture, cut, dense, gelu, layerNorm, rest, transpose, view } from './layers.js'
import { Net } from './net.js'

const WINDOW = 4

/** torch.roll of x[N,H,W,C] by −shift along both sides, as it is exported: a slice appended to its rest. */
function roll(n: Net, x: string, side: number, shift: number): string {
  const at = (shift + side) % side
  return [1, 2].reduce(
    (y, axis) => n.op('Concat', [rest(n, y, axis, at), cut(n, y, axis, 0, at)], { axis }),
    x,
  )
}

/** Index into the table of relative positions for each pair of positions in a window. */
function relativeIndex(): number[] {
  const places = Array.from({ length: WINDOW * WINDOW }, (_, i) => [Math.floor(i / WINDOW), i % WINDOW])
  return places.flatMap(([a, b]) =>
    places.map(([c, d]) => (a - c + WINDOW - 1) * (2 * WINDOW - 1) + (b - d + WINDOW - 1)),
  )
}

/** −100 between positions that only rolling brought into one window: [windows, 1, M², M²]. */
function rolledMask(side: number): number[] {
  const region = (p: number) => (p < side - WINDOW ? 0 : p < side - WINDOW / 2 ? 1 : 2)
  const per = side / WINDOW
  const ids = Array.from({ length: per * per }, (_, w) =>
    Array.from({ length: WINDOW * WINDOW }, (_, i) => {
      const row = Math.floor(w / per) * WINDOW + Math.floor(i / WINDOW)
      const column = (w % per) * WINDOW + (i % WINDOW)
      return region(row) * 3 + region(column)
    }),
  )
  return ids.flatMap((own) => own.flatMap((a) => own.map((b) => (a === b ? 0 : -100))))
}

interface Stage {
  readonly side: number
  readonly width: number
  readonly heads: number
}

/** Attention in windows of x[N,H,W,C], shifted by half a window or not. */
function windowAttention(n: Net, x: string, { side, width, heads }: Stage, shifted: boolean): string {
  const [per, area, head] = [side / WINDOW, WINDOW * WINDOW, width / heads]
  const windows = per * per
  const rolled = shifted ? roll(n, x, side, WINDOW / 2) : x
  const apart = transpose(n, view(n, rolled, -1, per, WINDOW, per, WINDOW, width), 0, 1, 3, 2, 4, 5)
  const rows = view(n, apart, -1, area, width)
  const all = view(n, dense(n, rows, width, 3 * width), -1, area, 3, heads, head)
  const turned = transpose(n, all, 2, 0, 3, 1, 4)
  const [q, k, v] = [0, 1, 2].map((i) => n.op('Gather', [turned, n.int(i)], { axis: 0 }))
  const table = n.op('Gather', [n.weight([(2 * WINDOW - 1) ** 2, heads]), n.ints(relativeIndex())], {
    axis: 0,
  })
  const bias = transpose(n, view(n, table, area, area, -1), 2, 0, 1)
  let scores = n.op('MatMul', [n.op('Mul', [q, n.scalar(head ** -0.5)]), transpose(n, k, 0, 1, 3, 2)])
  scores = n.op('Add', [scores, n.op('Unsqueeze', [bias, n.ints([0])])])
  if (shifted) {
    const mask = n.floats([1, windows, 1, area, area], rolledMask(side))
    const apartAgain = view(n, scores, -1, windows, heads, area, area)
    scores = view(n, n.op('Add', [apartAgain, mask]), -1, heads, area, area)
  }
  const seen = n.op('MatMul', [n.op('Softmax', [scores], { axis: -1 }), v])
  const merged = view(n, transpose(n, seen, 0, 2, 1, 3), -1, area, width)
  const mixed = dense(n, merged, width, width)
  const back = transpose(n, view(n, mixed, -1, per, per, WINDOW, WINDOW, width), 0, 1, 3, 2, 4, 5)
  const map = view(n, back, -1, side, side, width)
  return shifted ? roll(n, map, side, -WINDOW / 2) : map
}

function block(n: Net, x: string, stage: Stage, shifted: boolean): string {
  const { width } = stage
  const seen = n.op('Add', [x, windowAttention(n, layerNorm(n, x, width), stage, shifted)])
  const inner = gelu(n, dense(n, layerNorm(n, seen, width), width, 2 * width))
  return n.op('Add', [seen, dense(n, inner, 2 * width, width)])
}

/** Every second row and column in four parts, appended along channels, normalised and halved. */
function merge(n: Net, x: string, side: number, width: number): string {
  const every = (y: string, axis: number, from: number) =>
    n.op('Slice', [y, n.ints([from]), n.ints([side]), n.ints([axis]), n.ints([2])])
  const parts = [
    [0, 0],
    [1, 0],
    [0, 1],
    [1, 1],
  ].map(([row, column]) => every(every(x, 1, row), 2, column))
  const joined = layerNorm(n, n.op('Concat', parts, { axis: -1 }), 4 * width)
  return dense(n, joined, 4 * width, 2 * width, { bias: false })
}

/** Liu et al. 2021. */
function swin() {
  const n = new Net('Swin')
  const patches = n.conv(n.input('x', ['n', 3, 16, 16]), 3, 20, { k: 2, stride: 2, pad: 0 })
  let x = layerNorm(n, transpose(n, patches, 0, 2, 3, 1), 20)
  const first = { side: 8, width: 20, heads: 2 }
  x = block(n, block(n, x, first, false), first, true)
  x = merge(n, x, 8, 20)
  x = layerNorm(n, block(n, x, { side: 4, width: 40, heads: 4 }, false), 40)
  const mean = n.op('GlobalAveragePool', [transpose(n, x, 0, 3, 1, 2)])
  return n.build(n.dense(n.op('Flatten', [mean]), 40, 5))
}

export const swins: readonly Architecture[] = [
  {
    name: 'Swin',
    peculiarity:
      'windows by Reshape, shifted by Slice and Concat, a bias by relative position and head, patches merged',
    make: swin,
  },
]
