import type { Layer, Sketch } from './layers.js'

/** A sketch to draw, with what became of each of its layers. */
export interface Pair {
  readonly sketch: Sketch
  readonly now: readonly (Layer | undefined)[]
}

/** Layers of more than so many are not searched for one that comes again. */
const LONGEST = 400

/** The run of `period` layers from `start` on that comes `times` times in a row. */
interface Repeat {
  readonly start: number
  readonly period: number
  readonly times: number
}

/**
 * A network of more than `most` layers with runs of layers that come again and again put down once, those that save most
 * first, until it is small enough or nothing repeats. A layer that stands for several says how many; its costs are their
 * sums, its channels after pruning those of one on average.
 */
export function onceEach({ sketch, now }: Pair, most: number): Pair {
  let parts = sketch.layers.map((_, i) => [i])
  while (parts.length > most) {
    const found = longest(parts.map((own) => signature(sketch.layers[own[0]], own.length)))
    if (!found) break
    const { start, period, times } = found
    const run = Array.from({ length: period }, (_, k) =>
      Array.from({ length: times }, (_, t) => parts[start + t * period + k]).flat(),
    )
    parts = [...parts.slice(0, start), ...run, ...parts.slice(start + period * times)]
  }
  if (parts.length === sketch.layers.length) return { sketch, now }
  const home = new Map(parts.flatMap((own, part) => own.map((i) => [i, part])))
  const edges = new Map<string, readonly [number, number]>()
  for (const [from, to] of sketch.edges) {
    const [a, b] = [home.get(from) ?? 0, home.get(to) ?? 0]
    if (a < b) edges.set(`${a} ${b}`, [a, b])
  }
  return {
    sketch: {
      layers: parts.map((own) => together(own.map((i) => sketch.layers[i])) ?? sketch.layers[own[0]]),
      edges: [...edges.values()],
    },
    now: parts.map((own) => together(own.map((i) => now[i]))),
  }
}

/** What layers have in common that are drawn as one. */
const signature = ({ kind, op, detail, width, shape }: Layer, times: number) =>
  [kind, op, detail, width, shape, times].join(' ')

/** The repeat that saves most. */
function longest(signatures: readonly string[]): Repeat | undefined {
  const numbers = new Map<string, number>()
  const ids = Int32Array.from(signatures, (s) => {
    const known = numbers.get(s) ?? numbers.size
    numbers.set(s, known)
    return known
  })
  let best: Repeat | undefined
  let saved = 0
  for (let period = 1; period <= Math.min(LONGEST, ids.length / 2); period++) {
    let alike = 0
    for (let i = 0; i + period < ids.length; i++) {
      alike = ids[i] === ids[i + period] ? alike + 1 : 0
      const times = Math.floor(alike / period) + 1
      if ((times - 1) * period <= saved) continue
      saved = (times - 1) * period
      best = { start: i + 1 - alike, period, times }
    }
  }
  return best
}

/** One layer for several; undefined where none is left. */
function together(layers: readonly (Layer | undefined)[]): Layer | undefined {
  const left = layers.filter((l) => l !== undefined)
  const [first] = left
  if (!first || layers.length === 1) return first
  const sum = (of: (l: Layer) => number) => left.reduce((total, l) => total + of(l), 0)
  return {
    ...first,
    times: layers.length,
    width: first.width === null ? null : Math.round(sum((l) => l.width ?? 0) / layers.length),
    macs: sum((l) => l.macs),
    params: sum((l) => l.params),
    weightBytes: sum((l) => l.weightBytes),
  }
}
