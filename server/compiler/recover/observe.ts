import { setImmediate } from 'node:timers/promises'
import { random } from '../data/index.js'
import { type Graph, reads, type Tensor } from '../graph/index.js'
import { openSession, run } from '../runtime/index.js'
import { type Adder, emptyGram, type Gram } from './gram.js'
import { type Mixer, unknownsOf } from './mixer.js'
import { padsZeros, readerOf } from './reader.js'
import type { Batches } from './samples.js'
import type { Tie } from './tie.js'

/** What is asked about one mixer of a pruned network. */
export interface Question {
  readonly dense: Graph
  readonly pruned: Graph
  /** The mixer in either. */
  readonly before: Mixer
  readonly now: Mixer
  /** The dense output channel that each output channel is. */
  readonly kept: readonly number[]
  /** What the mixer is to compute: a value of the dense network, less one of the pruned. */
  readonly target: { readonly value: string; readonly minus?: string }
  readonly tie?: { readonly before: Tie; readonly now: Tie }
  /** Rows to look at, all batches together. */
  readonly rows: number
  readonly seed: number
}

/** Sums over rows that were fitted to and over rows that were held out. */
export interface Split {
  readonly fit: Gram
  readonly held: Gram
}

export interface Observed {
  /** Rows [inputs, targets, 1] of each block. */
  readonly rows: Split
  /** Rows [dense channels, pruned channels, 1], a row for each tap. */
  readonly tied?: Split
  /** Whether some inputs are zeros of a padding, so that no mean of theirs holds everywhere. */
  readonly pads: boolean
}

/**
 * Runs both networks over all batches, as far as the mixer, and sums up what it reads and what it should compute, at
 * positions drawn by the seed. One batch of values is alive at a time.
 */
export async function observe(
  q: Question,
  batches: Batches,
  add: Adder,
  signal?: AbortSignal,
): Promise<Observed> {
  const columns = unknownsOf(q.now)
  const { blocks } = q.now
  const each = q.now.outputs / blocks
  const size = columns + each + 1
  const rows: Split = { fit: emptyGram(blocks, size), held: emptyGram(blocks, size) }
  const width = q.tie ? q.tie.before.units + q.tie.now.units + 1 : 0
  const tied = q.tie && { fit: emptyGram(1, width), held: emptyGram(1, width) }
  const next = random(q.seed)
  const wanted = Math.ceil(q.rows / batches.count)
  let pads = false
  const dense = await openPart(q.dense, [q.target.value, ...(q.tie ? [q.before.input] : [])])
  const pruned = await openPart(q.pruned, [q.now.input, ...(q.target.minus ? [q.target.minus] : [])]).catch(
    async (thrown) => {
      await dense.release()
      throw thrown
    },
  )
  try {
    for (let b = 0; b < batches.count; b++) {
      await setImmediate()
      signal?.throwIfAborted()
      const feeds = batches.feeds(b)
      const [was, is] = [await dense.run(feeds), await pruned.run(feeds)]
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
      const taken = new Float64Array(blocks * n * size)
      const wants = target.data as Float32Array
      const minus = q.target.minus ? (is[q.target.minus].data as Float32Array) : undefined
      for (let block = 0; block < blocks; block++) {
        for (const [r, position] of positions.entries()) {
          const at = (block * n + r) * size
          reader.inputs(input.data as Float32Array, position, block, taken, at)
          for (let o = 0; o < each; o++) {
            const channel = block * each + o
            const less = minus ? minus[reader.output(position, channel)] : 0
            taken[at + columns + o] = wants[places.output(position, q.kept[channel])] - less
          }
          taken[at + size - 1] = 1
        }
      }
      await add(rows[held], taken, n)
      if (!q.tie || !tied) continue
      const pairs = new Float64Array(n * q.tie.now.taps * width)
      const full = new Float64Array(unknownsOf(q.before))
      const values = was[q.before.input].data as Float32Array
      for (const [r, position] of positions.entries()) {
        places.inputs(values, position, 0, full, 0)
        untie(full, 0, q.tie.before, pairs, r * q.tie.before.taps * width, width)
        untie(taken, r * size, q.tie.now, pairs, r * q.tie.now.taps * width + q.tie.before.units, width)
      }
      for (let i = width - 1; i < pairs.length; i += width) pairs[i] = 1
      await add(tied[held], pairs, n * q.tie.now.taps)
    }
  } finally {
    await dense.release()
    await pruned.release()
  }
  return { rows, tied, pads }
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

/** The part of a graph that some of its values need, ready to run. */
export async function openPart(graph: Graph, values: readonly string[]) {
  const wanted = [...new Set(values)].filter((v) => !graph.inputs.some((i) => i.name === v))
  const needed = new Set(wanted)
  const nodes = graph.nodes
    .toReversed()
    .filter((n) => {
      if (!n.outputs.some((o) => needed.has(o))) return false
      for (const name of reads(n)) needed.add(name)
      return true
    })
    .reverse()
  const part = graph.with({
    nodes,
    initializers: new Map([...graph.initializers].filter(([name]) => needed.has(name))),
    outputs: wanted.map((name) => ({ name, dtype: 'float32', dims: null })),
    values: new Map(),
  })
  const session = wanted.length > 0 ? await openSession(part) : undefined
  return {
    run: async (feeds: Record<string, Tensor>): Promise<Record<string, Tensor>> => ({
      ...feeds,
      ...(session && (await run(session, feeds, wanted))),
    }),
    release: async () => session?.release(),
  }
}
