import { type Graph, reads } from '../graph/index.js'
import { arenaBytes } from './arena.js'
import { placementsOf } from './blocked.js'
import { type Cost, costOf } from './cost.js'
import { allocationsOf, bytesOf, transposedBytes } from './execution.js'
import { peakActivationBytes } from './liveness.js'
import { type Loading, loadingOf, READ_AHEAD } from './loading.js'
import type { Shapes } from './shapes.js'

export interface Footprint extends Cost {
  /** The most bytes of activations alive at once. */
  readonly peakActivationBytes: number
  /** Memory, as the product's terms define it, that a process is expected to need for the model. */
  readonly predictedRamBytes: number
}

/** What the memory of a network in a session consists of. */
export interface MemoryParts extends Loading, Description {
  /** Bytes that a run touches of the runtime's arena. */
  readonly arenaBytes: number
  /** Bytes of the network's inputs, and of what the measured queries gave. */
  readonly outsideBytes: number
}

/** What a runtime keeps of a graph besides its numbers. */
export interface Description {
  /** What nodes read, constants too, each as often as it is read. */
  readonly operands: number
  /** Different operators that compute on activations. */
  readonly kinds: number
}

export type MemoryCoefficients = Readonly<Record<keyof typeof coefficients, number>>

/**
 * Resident bytes by what they are for: least squares over networks dense and pruned, errors relative. They belong to onnxruntime-node 1.30 with the options of `sessionOptions`, to glibc's
 * allocator with `allocatorSettings`, and to x86-64 with AVX-512. `npm run bench -- memory` fits them anew.
 */
export const coefficients = {
  /** A byte of what is alive at once, while the session is made or while it runs: one, if nothing was forgotten. */
  byte: 1.044,
  /** An operand in the file as parsed and in the graph, when most of the constants are alive. */
  parsed: 1.76e3,
  /** An operand in the session that runs: its name and edge, its share of the node and of the kernel. */
  operand: 3.33e3,
  /** An operator's kernel: pages of the runtime's own file. */
  kind: 26.4e3,
  /** A byte of constants too small for pages of their own: the copies of them that the heap keeps, besides the one in use. */
  small: 1.69,
} as const

/** What a first run touches besides: what the runtime keeps of a session's runs, and JavaScript's own. */
const RUN = 0.4e6

type Features = Readonly<Record<keyof typeof coefficients, number>>

/** What `coefficients` are multiplied with while a session is made, when most is alive, and while it runs. */
const phasesOf = (p: MemoryParts): readonly Features[] => [
  { byte: p.loadingBytes, parsed: p.operands, operand: 0, kind: 0, small: 0 },
  {
    byte: RUN + p.heldBytes + p.arenaBytes + p.outsideBytes,
    parsed: 0,
    operand: p.operands,
    kind: p.kinds,
    small: p.smallBytes,
  },
]

const names = Object.keys(coefficients) as (keyof typeof coefficients)[]
const times = (features: Features, c: MemoryCoefficients) =>
  names.reduce((sum, name) => sum + features[name] * c[name], 0)

/** What coefficients are multiplied with, in their order, in the phase that needs most by those given. */
export function memoryFeatures(parts: MemoryParts, c: MemoryCoefficients = coefficients): number[] {
  const most = phasesOf(parts).reduce((a, b) => (times(b, c) > times(a, c) ? b : a))
  return names.map((name) => most[name])
}

/** Memory that a model of these parts is expected to add to the runtime's base. */
export const expectedRam = (parts: MemoryParts, c: MemoryCoefficients = coefficients): number =>
  Math.max(...phasesOf(parts).map((features) => times(features, c)))

type Dims = Shapes['dims']

/** Queries after which memory is read: their outputs lie where they are until JavaScript's garbage is collected. */
const QUERIES = 6

/** The parts of a graph's memory at given dimensions, for one sample. */
export function memoryParts(graph: Graph, dims: Dims, shapes: Pick<Shapes, 'batch'>): MemoryParts {
  const placements = placementsOf(graph, dims)
  const outside = (values: Graph['inputs'], times: number) =>
    values.reduce((sum, { name }) => sum + (times * bytesOf(dims.get(name) ?? [], 'plain')) / shapes.batch, 0)
  return {
    ...loadingOf(graph, dims, placements),
    ...describe(graph),
    arenaBytes: arenaBytes(allocationsOf(graph, dims, placements, shapes), transposedBytes(graph, dims)),
    outsideBytes: outside(graph.inputs, 1) + outside(graph.outputs, QUERIES),
  }
}

/** What a byte of activations at their peak mostly comes to. */
const PEAK_BYTE = 1.4

/** What a search can follow step by step. */
export interface Followed extends Description {
  readonly weightBytes: number
  /** Those of them that convolutions read. */
  readonly convolutionBytes: number
  readonly peakBytes: number
}

/**
 * The same memory by less: what counts is how it changes; `footprintOf` has the last word.
 * @param sharpness of the maximum of loading and running: where it is finite, what is close to the most counts too
 */
export function predictRam(
  { weightBytes, convolutionBytes, peakBytes, operands, kinds }: Followed,
  sharpness = Number.POSITIVE_INFINITY,
): number {
  const read = weightBytes + Math.max(convolutionBytes, Math.min(weightBytes, READ_AHEAD))
  const loading = coefficients.byte * read + coefficients.parsed * operands
  const alive = RUN + weightBytes + PEAK_BYTE * peakBytes
  const running = coefficients.byte * alive + coefficients.operand * operands + coefficients.kind * kinds
  const most = Math.max(loading, running, 1)
  return most * (1 + (Math.min(loading, running) / most) ** sharpness) ** (1 / sharpness)
}

/** What nodes read of each other and of constants, and how many operators there are. */
export function describe(graph: Graph): Description {
  const activations = new Set(graph.inputs.map(({ name }) => name))
  const kinds = new Set<string>()
  let operands = 0
  for (const n of graph.nodes) {
    const inputs = reads(n)
    operands += inputs.length
    if (!inputs.some((name) => activations.has(name))) continue
    kinds.add(n.op)
    for (const name of n.outputs) activations.add(name)
  }
  return { operands, kinds: kinds.size }
}

/** Costs and memory of a graph at given dimensions: those of a run, or what `Coupling.dims` predicts. */
export function footprintOf(graph: Graph, dims: Dims, shapes: Pick<Shapes, 'batch'>): Footprint {
  return {
    ...costOf(graph, dims, shapes),
    peakActivationBytes: peakActivationBytes(graph, dims, shapes),
    predictedRamBytes: Math.round(expectedRam(memoryParts(graph, dims, shapes))),
  }
}
