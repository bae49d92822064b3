import { setImmediate } from 'node:timers/promises'
import type { Coupling } from '../analysis/index.js'
import { type Dataset, random } from '../data/index.js'
import { elementCount, type Graph } from '../graph/index.js'
import { affineOf } from './affine.js'
import { addRows, emptyGram, type Gram, momentsOf } from './gram.js'
import { type Mixer, mixersOf, unknownsOf } from './mixer.js'
import { spread } from './observe.js'
import { openPart } from './part.js'
import { openProducts } from './products.js'
import { padsZeros, readerOf } from './reader.js'
import { ROWS_PER_UNKNOWN } from './refit.js'
import { batchesOf } from './samples.js'
import { columnsByUnit, type Tie, tied, tiedKernel } from './tie.js'

/** What a mixer of the dense network reads: how its input channels vary together, and how much it makes of each. */
export interface Channels {
  readonly mixer: Mixer
  readonly tie: Tie
  /** Covariance of the channels, or their second moments where no bias can take up a mean: [channels, channels]. */
  readonly moments: Float64Array
  /** ΣᵗWᵀW over taps and outputs, [channels, channels], row-major. */
  readonly weights: Float64Array
}

/** Elements of values that are alive at once, at most, unless a single layer needs more. */
const ALIVE = 2 ** 25
const ROWS_PER_CHANNEL = 25
const LEAST_ROWS = 4096

/**
 * The channels of every mixer that is not grouped, in the order of the graph, from unlabelled inputs. The network runs
 * over them as often as it takes for few values to be alive at once.
 * @throws DATA_INVALID, DATA_SHAPE_MISMATCH
 */
export async function channelsOf(
  coupling: Coupling,
  data: Dataset,
  { samples = 512, seed = 0, signal }: { samples?: number; seed?: number; signal?: AbortSignal } = {},
): Promise<Channels[]> {
  const { graph } = coupling
  const batches = batchesOf(graph, data, { samples, seed })
  const subjects = mixersOf(graph).flatMap((mixer) => {
    if (mixer.blocks !== 1 || !mixer.weight) return []
    const known = coupling.shapes.dims.get(mixer.node.outputs[0]) ?? []
    const seen = (elementCount(known) / mixer.outputs / (known[0] ?? 1)) * batches.samples
    const enough = mixer.taps > 1 || seen >= ROWS_PER_UNKNOWN * mixer.inputs
    const columns = enough ? undefined : columnsByUnit(coupling, mixer)
    const tie = columns ? tied(columns) : tiedKernel(mixer.inputs, mixer.taps)
    return [{ mixer, tie, gram: emptyGram(1, tie.units + 1, 0), pads: false }]
  })
  const sizeOf = (m: Mixer) => elementCount(coupling.shapes.dims.get(m.input) ?? [])
  const next = random(seed)
  const products = await openProducts()
  try {
    for (const part of parts(subjects, ({ mixer }) => sizeOf(mixer))) {
      const session = await openPart(
        graph,
        part.map((s) => s.mixer.input),
      )
      try {
        for (let b = 0; b < batches.count; b++) {
          await setImmediate()
          signal?.throwIfAborted()
          const values = await session.run(await batches.feeds(b))
          for (const subject of part) {
            const { mixer, tie, gram } = subject
            const { dims, data } = values[mixer.input]
            const known = coupling.shapes.dims.get(mixer.node.outputs[0]) ?? []
            const scale = dims[0] / (coupling.shapes.dims.get(mixer.input)?.[0] ?? dims[0])
            const shapes = { input: dims, output: known.with(0, known[0] * scale) }
            subject.pads ||= padsZeros(mixer, shapes)
            const reader = readerOf(mixer, shapes)
            const wanted = Math.max(LEAST_ROWS, ROWS_PER_CHANNEL * tie.units) / batches.count / tie.taps
            const positions = spread(reader.positions, Math.ceil(wanted), next)
            const width = tie.units + 1
            const rows = new Float64Array(positions.length * tie.taps * width)
            const full = new Float64Array(unknownsOf(mixer))
            for (const [r, position] of positions.entries()) {
              reader.inputs(data as Float32Array, position, 0, full, 0)
              for (let t = 0; t < tie.taps; t++) {
                const at = (r * tie.taps + t) * width
                for (let u = 0; u < tie.units; u++) rows[at + u] = full[tie.at[t * tie.units + u]]
                rows[at + tie.units] = 1
              }
            }
            await addRows(gram, rows, new Float64Array(0), positions.length * tie.taps, products.multiply)
          }
        }
      } finally {
        await session.release()
      }
    }
  } finally {
    await products.release()
  }
  return subjects.map(({ mixer, tie, gram, pads }) => ({
    mixer,
    tie,
    moments: channelMoments(graph, mixer, gram, pads),
    weights: weightsByChannel(graph, mixer, tie),
  }))
}

/** Consecutive runs of a list whose sizes add up to little. */
function parts<T>(list: readonly T[], size: (item: T) => number): T[][] {
  const found: T[][] = []
  let alive = Number.POSITIVE_INFINITY
  for (const item of list) {
    const own = 16 * size(item)
    if (alive + own > ALIVE) {
      found.push([])
      alive = 0
    }
    found[found.length - 1].push(item)
    alive += own
  }
  return found
}

const channelMoments = (graph: Graph, mixer: Mixer, gram: Gram, pads: boolean): Float64Array =>
  momentsOf(gram, 0, 'inputs', affineOf(graph, mixer).shifts && !pads)

function weightsByChannel(graph: Graph, mixer: Mixer, { taps, units, at }: Tie): Float64Array {
  const { rows } = affineOf(graph, mixer)
  const columns = unknownsOf(mixer)
  const sums = new Float64Array(units * units)
  const w = new Float64Array(units)
  for (let o = 0; o < mixer.outputs; o++)
    for (let t = 0; t < taps; t++) {
      for (let u = 0; u < units; u++) w[u] = rows[o * columns + at[t * units + u]]
      for (let u = 0; u < units; u++) for (let v = 0; v < units; v++) sums[u * units + v] += w[u] * w[v]
    }
  return sums
}
