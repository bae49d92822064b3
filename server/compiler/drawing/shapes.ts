import type { Layer } from './layers.js'
import type { Box, Mark, Piece, Point } from './layout.js'
import { tints } from './style.js'
import { escaped, figure, fitted, whole } from './text.js'

/** A layer to draw, and what became of it. */
export interface Item {
  readonly layer: Layer
  readonly now: Layer | undefined
  /** What the names of all layers begin with: left out in boxes. */
  readonly scope: string
  /** MACs of the whole network before, and of the layer that takes most. */
  readonly total: number
  readonly most: number
  /** Of the network's layers the most channels. */
  readonly widest: number
  readonly compared: boolean
}

const BOX = { width: 224, height: 70 } as const
const PAD = 11
/** Width of a cell of the fixed-width font at 11 px, of a round shape's padding, and cells that fit a box's name. */
const CELL = 6.7
const NAME = Math.floor((BOX.width - 2 * PAD) / CELL)
const SMALL = 22

const plain = (item: Item) => item.layer.kind === 'layer'

const timesOf = ({ times }: Layer) => (times === undefined ? '' : ` × ${times}`)

/** What a small shape says: a join its operator, an input or output its name and size. */
function label({ layer }: Item): string {
  const { kind, op, name, detail } = layer
  if (kind === 'join') return `${fitted(op, 16)}${timesOf(layer)}`
  const size = fitted(detail, 20)
  return size === '' ? fitted(name, 24) : `${fitted(name, 24)} ${size}`
}

export const sizeOf = (item: Item): { width: number; height: number } =>
  plain(item)
    ? BOX
    : { width: Math.max(34, Math.ceil(label(item).length * 1.4 * CELL * 0.72 + 2 * PAD)), height: SMALL }

/** One layer's markup. */
export function render(item: Item, box: Box): string {
  const lost = item.now === undefined ? ' class="lost"' : ''
  const inside = plain(item) ? layerBox(item, box) : roundBox(item, box)
  return `<g${lost}><title>${escaped(told(item))}</title>${inside}</g>`
}

function roundBox(item: Item, { x, y, width, height }: Box): string {
  const [left, top] = [x - width / 2, y - height / 2].map(round)
  return (
    `<rect class="box round" x="${left}" y="${top}" width="${width}" height="${height}" rx="${item.layer.kind === 'join' ? height / 2 : 3}"/>` +
    `<text class="ink mid" x="${round(x)}" y="${round(y + 4)}">${escaped(label(item))}</text>${strike(item, left, y, width)}`
  )
}

function layerBox(item: Item, { x, y, width, height }: Box): string {
  const { layer, now, scope, most } = item
  const name = layer.name.startsWith(scope) ? layer.name.slice(scope.length) : layer.name
  const [left, top] = [x - width / 2, y - height / 2].map(round)
  const at = (dx: number, dy: number) => `x="${round(left + dx)}" y="${round(top + dy)}"`
  const share = most > 0 ? layer.macs / most : 0
  const tint = now ? tints.filter((least) => share >= least).length : 0
  const kind = fitted(`${layer.op} ${layer.detail}`.trim(), 20)
  const is = now ?? layer
  const channels = layer.width === null ? '' : figureOf(layer.width, is.width ?? 0)
  return (
    `<rect class="box t${tint}" ${at(0, 0)} width="${width}" height="${height}" rx="5"/>` +
    `<text class="ink name" ${at(PAD, 18)}>${escaped(fitted(name, NAME - timesOf(layer).length))}${timesOf(layer)}</text>` +
    `<text class="ink" ${at(PAD, 34)}>${escaped(kind)}</text>` +
    (channels === '' ? '' : `<text class="ink end" ${at(width - PAD, 34)}>${channels}</text>`) +
    bars(item, left, top) +
    `<text class="ink" ${at(PAD, 61)}>${figure(layer.macs, is.macs, 'MACs')}</text>` +
    (layer.width === null
      ? ''
      : `<text class="ink end" ${at(width - PAD, 61)}>${figure(layer.weightBytes, is.weightBytes, 'B')}</text>`) +
    strike(item, left, y, width)
  )
}

const figureOf = (was: number, is: number) => (was === is ? `${was}` : `${was} → ${is}`)

/** A bar as long as the layer is wide, on a square-root scale; what is left of it solid, what went faded. */
function bars({ layer, now, widest }: Item, left: number, top: number): string {
  if (layer.width === null) return ''
  const full = Math.max(4, (BOX.width - 2 * PAD) * Math.sqrt(layer.width / widest))
  const kept = layer.width > 0 ? full * Math.min(1, (now?.width ?? 0) / layer.width) : 0
  const bar = (name: string, x: number, w: number) =>
    w > 0
      ? `<rect class="${name}" x="${round(left + PAD + x)}" y="${round(top + 41)}" width="${round(w)}" height="6"/>`
      : ''
  return bar('kept', 0, kept) + bar('removed', kept, full - kept)
}

const strike = ({ now }: Item, left: number, y: number, width: number) =>
  now ? '' : `<path class="strike" d="M${round(left - 6)} ${round(y)}H${round(left + width + 6)}"/>`

/** What is said of a layer when the pointer rests on it. */
function told({ layer, now, total, compared }: Item): string {
  const { kind, name, op, detail, folded } = layer
  const change = (was: number, is: number | undefined, unit: string) =>
    compared && was !== is ? `${whole(was)} → ${whole(is ?? 0)} ${unit}` : `${whole(was)} ${unit}`
  const title = `${op === '' ? kind : `${op} ${detail}`.trim()} ${fitted(name, 200)}`
  const lines = [title, `gives [${layer.shape}]`]
  if (layer.times) lines.push(`${layer.times} in a row; costs are their sums, channels those of one`)
  if (!now) lines.push('removed as a whole')
  if (kind === 'layer') {
    if (layer.width !== null) lines.push(change(layer.width, now?.width ?? 0, 'channels'))
    lines.push(
      `${change(layer.macs, now?.macs, 'MACs')}, ${total > 0 ? ((100 * layer.macs) / total).toFixed(1) : 0} % of the network's`,
      change(layer.params, now?.params, 'parameters'),
      change(layer.weightBytes, now?.weightBytes, 'bytes of weights'),
    )
  }
  if (folded.length > 0) lines.push(`then ${fitted(folded.join(', '), 300)}`)
  return lines.join('\n')
}

/** An edge as curves that leave and arrive upright, with a tip where it arrives. */
export function edge({ points, ends }: Piece, lost: boolean): string {
  const [[x, y], ...rest] = points
  const target = points[points.length - 1]
  const stop = ends ? 0 : 6
  let d = `M${round(x)} ${round(y)}`
  let [px, py] = [x, y]
  rest.forEach(([qx, qy], i) => {
    const end = i === rest.length - 1 ? qy - stop : qy
    const middle = (py + end) / 2
    d +=
      qx === px
        ? `V${round(end)}`
        : `C${round(px)} ${round(middle)} ${round(qx)} ${round(middle)} ${round(qx)} ${round(end)}`
    ;[px, py] = [qx, end]
  })
  return `<path class="${lost ? 'edge lost' : 'edge'}" d="${d}"/>${ends ? '' : tip(target)}`
}

const tip = ([x, y]: Point) =>
  `<path class="tip" d="M${round(x - 3.5)} ${round(y - 7)}h7L${round(x)} ${round(y)}z"/>`

/** The mark of an edge that goes on in, or comes from, another column. */
export function markOf({ at: [x, y], text }: Mark, down: boolean): string {
  const middle = y + (down ? 9 : -9)
  return (
    `<circle class="box round" cx="${round(x)}" cy="${round(middle)}" r="9"/>` +
    `<text class="soft mid" x="${round(x)}" y="${round(middle + 4)}">${text}</text>`
  )
}

const round = (v: number) => Math.round(v * 10) / 10
