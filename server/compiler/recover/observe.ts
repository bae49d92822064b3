import { setImmediate } from 'node:timers/promises'
import { random } from '../data/index.js'
import { addRows, emptyGram, type Gram } from './gram.js'
import { type Mixer, unknownsOf } from './mixer.js'
import type { Multiply } from './products.js'
import type { Range } from './range.js'
import { padsZeros, readerOf } from './reader.js'
import type { Opened } from './replay.js'
import type { Batches } from './samples.js'
import type { Tie } from './tie.js'

/** What is asked about one mixer of a pruned network. */
export interface Question {
  /** The mixer in the dense network and in the pruned one. */
  readonly before: Mixer
  readonly now: Mixer
  /** The dense output channel that each output channel is. */
  readonly kept: readonly number[]
  /** What the mixer is to compute: a value of the dense network, less one of the pruned. */
  readonly target: { readonly value: string; readonly minus?: string }
  readonly tie?: { readonly before: Tie; readonly now: Tie }
  /** What of the target comes through, where that is not all. */
  readonly range?: Range
  /** Rows to look at, all batches together. */
  readonly rows: number
  readonly seed: number
}

/** Rows of one batch. */
export interface Seen {
  readonly held: boolean
  readonly count: number
  /** [blocks, count, columns + 1], last a one */
  readonly x: Float64Array
  /** What the mixer should add, and what is there without it: [blocks, count, targets] */
  readonly y: Float64Array
  readonly there: Float64Array
}

/** Sums over rows that were fitted to and over rows that were held out. */
export interface Split {
  readonly fit: Gram
  readonly held: Gram
}

export interface Observed {
  /** Rows of each block: what the mixer reads, and what its outputs should be. */
  readonly rows: Split
  /** Rows of pruned channels, and of dense ones as targets, one for each tap. */
  readonly tied?: Split
  /** The rows themselves, where a range is asked about and they find room. */
  readonly seen: readonly Seen[]
  /** Whether some inputs are zeros of a padding, so that no mean of theirs holds everywhere. */
  readonly pads: boolean
}

/** Rows are kept up to so many bytes. */
const SEEN_BYTES = 2 ** 28

/** What must be seen of either network to answer a question. */
export const wantedBy = ({ before, now, target, tie }: Omit<Question, 'seed'>) => ({
  dense: [target.value, ...(tie ? [before.input] : [])],
  pruned: [now.input, ...(target.minus ? [target.minus] : [])],
})

/**
 * Runs both networks over all batches, as far as the mixer, and sums up what it reads and what it should compute, at
 * positions drawn by the seed. One batch of rows is alive at a time.
 */
export async function observe(
  q: Question,
  { dense, pruned }: { readonly dense: Opened; readonly pruned: Opened },
  batches: Batches,
  multiply: Multiply,
  signal?: AbortSignal,
): Promise<Observed> {
  const columns = unknownsOf(q.now)
  const { blocks } = q.now
  const each = q.now.outputs / blocks
  const width = columns + 1
  const empty = () => emptyGram(blocks, width, each)
  const rows: Split = { fit: empty(), held: empty() }
  const channels = q.tie ? { now: q.tie.now.units + 1, before: q.tie.before.units } : { now: 1, before: 0 }
  const pairs = () => emptyGram(1, channels.now, channels.before)
  const tied = q.tie && { fit: pairs(), held: pairs() }
  const next = random(q.seed)
  const wanted = Math.ceil(q.rows / batches.count)
  let pads = false
  const seen: Seen[] = []
  const keeps = q.range !== undefined && 8 * blocks * q.rows * (width + 2 * each) <= SEEN_BYTES
  for (let b = 0; b < batches.count; b++) {
    await setImmediate()
    signal?.throwIfAborted()
    const [was, is] = [await dense.run(b), await pruned.run(b)]
    const target = was[q.target.value]
    const input = is[q.now.input]
    const output = target.dims.with(q.now.channels === 'last' ? -1 : 1, q.now.outputs)
    const dims = { input: input.dims, output }
    const reader = readerOf(q.now, dims)
    const places = readerOf(q.before, {
      input: was[q.before.input]?.dims ?? input.dims,
      output: target.dims,
    })
    pads ||= padsZeros(q.now, dims)
    const positions = spread(reader.positions, wanted, next)
    const n = positions.length
    const held = batches.isHeld(b) ? 'held' : 'fit'
    const x = new Float64Array(blocks * n * width)
    const y = new Float64Array(blocks * n * each)
    const there = new Float64Array(keeps ? y.length : 0)
    const wants = target.data as Float32Array
    const minus = q.target.minus ? (is[q.target.minus].data as Float32Array) : undefined
    for (let r = 0; r < n; r++) {
      const position = positions[r]
      for (let block = 0; block < blocks; block++) {
        const row = block * n + r
        reader.inputs(input.data as Float32Array, position, block, x, row * width)
        x[(row + 1) * width - 1] = 1
        for (let o = 0; o < each; o++) {
          const channel = block * each + o
          const less = minus ? minus[reader.output(position, channel)] : 0
          y[row * each + o] = wants[places.output(position, q.kept[channel])] - less
          if (keeps) there[row * each + o] = less
        }
      }
    }
    await addRows(rows[held], x, y, n, multiply)
    if (keeps) seen.push({ held: batches.isHeld(b), count: n, x, y, there })
    if (!q.tie || !tied) continue
    const { taps } = q.tie.now
    const left = new Float64Array(n * taps * channels.now).fill(1)
    const all = new Float64Array(n * taps * channels.before)
    const full = new Float64Array(unknownsOf(q.before))
    const values = was[q.before.input].data as Float32Array
    for (const [r, position] of positions.entries()) {
      places.inputs(values, position, 0, full, 0)
      untie(full, 0, q.tie.before, all, r * taps * channels.before, channels.before)
      untie(x, r * width, q.tie.now, left, r * taps * channels.now, channels.now)
    }
    await addRows(tied[held], left, all, n * taps, multiply)
  }
  return { rows, tied, seen, pads }
}

/** Writes the channels of a row at each tap, `step` apart. */
function untie(
  row: Float64Array,
  from: number,
  { taps, units, at }: Tie,
  target: Float64Array,
  to: number,
  step: number,
): void {
  for (let t = 0; t < taps; t++)
    for (let u = 0; u < units; u++) target[to + t * step + u] = row[from + at[t * units + u]]
}

/** At most `wanted` positions of `total`, ascending, one at random of each of as many equal parts. */
export function spread(total: number, wanted: number, next: () => number): number[] {
  const n = Math.min(total, wanted)
  return Array.from({ length: n }, (_, i) =>
    n === total ? i : Math.min(total - 1, Math.floor(((i + next()) * total) / n)),
  )
}
