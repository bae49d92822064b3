import { EspalierError } from '@espalier/shared/errors.js'
import { costOf, peakActivationBytes } from '../analysis/index.js'
import { counterparts } from './compare.js'
import { commonScope, type Seen, type Sketch, sketchOf } from './layers.js'
import { type Layout, layout } from './layout.js'
import { onceEach } from './repeats.js'
import { edge, type Item, markOf, render, sizeOf } from './shapes.js'
import { style, tints } from './style.js'
import { escaped, figure, fitted, whole } from './text.js'

const MARGIN = 28
const HEAD = 134
const LEAST_WIDTH = 560

/** Layout takes seconds for a thousand layers, and nobody reads more: of a larger network, what repeats is drawn once. */
const MOST_LAYERS = 1500
/** In more, nothing is searched that repeats. */
const MOST_SEARCHED = 50_000

/**
 * Draws a network as one SVG: its layers in execution order with what each costs, and, where `after` is given, what
 * pruning left of each. Small operators are folded into the layer they follow. It has no script, loads nothing, and
 * looks right on light and on dark screens. In a network of very many layers, runs that repeat are drawn once, with × N.
 * @param title what the picture is of; like every name in it, it may come from outside
 * @throws MODEL_UNSUPPORTED for a network of very many layers of which too few repeat
 */
export async function draw(title: string, before: Seen, after?: Seen): Promise<string> {
  const was = sketchOf(before)
  if (was.layers.length > MOST_SEARCHED) throw tooLarge(was.layers.length)
  const is = after ? sketchOf(after) : was
  const { sketch, now } = onceEach(
    { sketch: was, now: after ? counterparts(was, is) : was.layers },
    MOST_LAYERS,
  )
  if (sketch.layers.length > MOST_LAYERS) throw tooLarge(was.layers.length)
  const total = was.layers.reduce((sum, l) => sum + l.macs, 0)
  const most = sketch.layers.reduce((m, l) => Math.max(m, l.macs), 0)
  const widest = was.layers.reduce((most, l) => Math.max(most, l.width ?? 0), 1)
  const scope = commonScope(was)
  const items = sketch.layers.map(
    (layer, i): Item => ({ layer, scope, now: now[i], total, most, widest, compared: after !== undefined }),
  )
  const placed = await layout(items.map(sizeOf), sketch.edges)
  const width = Math.max(LEAST_WIDTH, Math.ceil(placed.width) + 2 * MARGIN)
  const height = Math.ceil(placed.height) + HEAD + 2 * MARGIN
  const left = (width - placed.width) / 2
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-labelledby="title">`,
    `<title id="title">${escaped(fitted(title, 120))}: ${sentence(was, is, after !== undefined)}</title>`,
    `<style>${style}</style>`,
    `<rect class="page" width="${width}" height="${height}"/>`,
    ...head(title, before, after),
    ...legend(after !== undefined, most, now.includes(undefined)),
    `<g transform="translate(${round(left)} ${HEAD + MARGIN})">`,
    ...edges(placed, items),
    ...items.map((item, i) => render(item, placed.boxes[i])),
    '</g>',
    '</svg>',
    '',
  ].join('\n')
}

const tooLarge = (layers: number) =>
  new EspalierError(
    'MODEL_UNSUPPORTED',
    `a network of ${whole(layers)} layers and joins is too large to draw; at most ${whole(MOST_LAYERS)} that do not repeat are drawn`,
  )

const round = (v: number) => Math.round(v * 10) / 10

function sentence(was: Sketch, is: Sketch, compared: boolean): string {
  const count = (s: Sketch) => s.layers.filter((l) => l.kind === 'layer').length
  const macs = (s: Sketch) => whole(s.layers.reduce((sum, l) => sum + l.macs, 0))
  return compared
    ? `${count(was)} layers with ${macs(was)} MACs before, ${count(is)} with ${macs(is)} after pruning`
    : `${count(was)} layers with ${macs(was)} MACs`
}

function edges({ pieces }: Layout, items: readonly Item[]): string[] {
  const lost = (i: number) => items[i].now === undefined
  /** What passed a branch by lives on where the branch and its join went. */
  const gone = ({ from, to }: Layout['pieces'][number]) => {
    const join = (i: number) => items[i].layer.kind === 'join'
    return (lost(from) && !join(from)) || (lost(to) && !join(to)) || (lost(from) && lost(to))
  }
  const marks = new Map<string, string>()
  const lines = pieces.map((p) => {
    for (const [m, down] of [
      [p.begins, false],
      [p.ends, true],
    ] as const)
      if (m) marks.set(`${m.text} ${m.at}`, markOf(m, down))
    return edge(p, gone(p))
  })
  return [...lines, ...marks.values()]
}

function head(title: string, before: Seen, after: Seen | undefined): string[] {
  const sums = ({ graph, shapes }: Seen) => ({
    ...costOf(graph, shapes.dims, shapes),
    peak: peakActivationBytes(graph, shapes.dims, shapes),
  })
  const was = sums(before)
  const is = after ? sums(after) : was
  const part = (a: number, b: number) => (after && a > 0 ? ` (${Math.round((100 * b) / a)} %)` : '')
  const facts = [
    `${figure(was.params, is.params, '')} parameters${part(was.params, is.params)}`,
    `${figure(was.macs, is.macs, 'MACs')}${part(was.macs, is.macs)}`,
    `${figure(was.weightBytes, is.weightBytes, 'B')} of weights${part(was.weightBytes, is.weightBytes)}`,
    `${figure(was.peak, is.peak, 'B')} of activations at their peak${part(was.peak, is.peak)}`,
  ]
  return [
    `<text class="ink title" x="${MARGIN}" y="${MARGIN + 12}">${escaped(fitted(title, 58))}</text>`,
    `<text class="soft" x="${MARGIN}" y="${MARGIN + 34}">${facts.slice(0, 2).join(', ')}</text>`,
    `<text class="soft" x="${MARGIN}" y="${MARGIN + 51}">${facts.slice(2).join(', ')}</text>`,
  ]
}

/** What bars, tints and lines through mean. */
function legend(compared: boolean, most: number, struck: boolean): string[] {
  const text = (x: number, y: number, said: string) => `<text class="soft" x="${x}" y="${y}">${said}</text>`
  const bar = (name: string, x: number, width: number) =>
    `<rect class="${name}" x="${x}" y="${MARGIN + 69}" width="${width}" height="6"/>`
  const first = MARGIN + 76
  const second = MARGIN + 98
  const bars = compared
    ? [
        bar('kept', MARGIN, 30),
        bar('removed', MARGIN + 30, 30),
        text(
          MARGIN + 70,
          first,
          `channels kept and removed${struck ? '; struck out: what went as a whole' : ''}`,
        ),
      ]
    : [bar('kept', MARGIN, 60), text(MARGIN + 70, first, 'channels')]
  const steps = [0, ...tints].map((least, i) => {
    const x = MARGIN + i * 48
    const said =
      i === 0 ? `under ${100 * tints[0]}` : i === tints.length ? `${100 * least}+` : `${100 * least}`
    return (
      `<rect class="box t${i}" x="${x}" y="${second - 12}" width="48" height="17"/>` +
      `<text class="ink mid" x="${x + 24}" y="${second}">${said}</text>`
    )
  })
  const unit = `% of the costliest layer’s ${figure(most, most, 'MACs')}${compared ? ' before' : ''}`
  return [...bars, ...steps, text(MARGIN + (tints.length + 1) * 48 + 10, second, unit)]
}
