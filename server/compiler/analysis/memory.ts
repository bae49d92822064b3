import { type Graph, reads } from '../graph/index.js'
import { arenaBytes } from './arena.js'
import { placementsOf } from './blocked.js'
import { type Cost, costOf } from './cost.js'
import { allocationsOf, bytesOf } from './execution.js'
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
export interface MemoryParts extends Loading {
  /** Nodes that compute on activations. */
  readonly nodes: number
  /** Bytes that a run touches of the runtime's arena. */
  readonly arenaBytes: number
  /** Bytes of the network's inputs, and of what the measured queries gave. */
  readonly outsideBytes: number
}

export type MemoryCoefficients = Readonly<Record<keyof typeof coefficients, number>>

/**
 * Resident bytes by what they are for: least squares over networks dense and pruned, errors relative. They belong to onnxruntime-node 1.30 with the options of `sessionOptions`, to glibc's
 * allocator with `allocatorSettings`, and to x86-64 with AVX-512. `npm run bench -- memory` fits them anew.
 */
export const coefficients = {
  /** A node: its description in the file, in the graph and in the session, with those of its constants. */
  node: 11.1e3,
  /** A byte of what is alive at once, while the session is made or while it runs: one, if nothing was forgotten. */
  byte: 0.997,
} as const

/** What a first run touches besides: kernels, and what the runtime keeps of a session's runs. */
const RUN = 0.6e6

/** The most bytes alive at once. */
const aliveAtMost = ({ loadingBytes, heldBytes, arenaBytes, outsideBytes }: MemoryParts): number =>
  Math.max(loadingBytes, RUN + heldBytes + arenaBytes + outsideBytes)

/** What `coefficients` are multiplied with, in their order. */
export const memoryFeatures = (p: MemoryParts): number[] => [p.nodes, aliveAtMost(p)]

/** Memory that a model of these parts is expected to add to the runtime's base. */
export const expectedRam = (parts: MemoryParts, c: MemoryCoefficients = coefficients): number => {
  const values = Object.values(c)
  return memoryFeatures(parts).reduce((sum, x, i) => sum + x * values[i], 0)
}

type Dims = Shapes['dims']

/** Queries after which memory is read: their outputs lie where they are until JavaScript's garbage is collected. */
const QUERIES = 6

/** The parts of a graph's memory at given dimensions, for one sample. */
export function memoryParts(graph: Graph, dims: Dims, shapes: Pick<Shapes, 'batch'>): MemoryParts {
  const placements = placementsOf(graph, dims)
  const outside = (values: Graph['inputs'], times: number) =>
    values.reduce((sum, { name }) => sum + (times * bytesOf(dims.get(name) ?? [], 'plain')) / shapes.batch, 0)
  const transposed = graph.nodes.filter((n) => n.op === 'ConvTranspose')
  const kept = transposed.reduce((sum, n) => sum + bytesOf(dims.get(n.inputs[1]) ?? [], 'plain'), 0)
  return {
    ...loadingOf(graph, dims, placements),
    nodes: nodesThatRun(graph),
    arenaBytes: arenaBytes(allocationsOf(graph, dims, placements, shapes), kept),
    outsideBytes: outside(graph.inputs, 1) + outside(graph.outputs, QUERIES),
  }
}

/** What a byte of activations at their peak mostly comes to. */
const PEAK_BYTE = 1.4

/** What a search can follow step by step. */
export interface Followed {
  readonly weightBytes: number
  /** Those of them that convolutions read. */
  readonly convolutionBytes: number
  readonly peakBytes: number
  readonly nodes: number
}

/**
 * The same memory by less: what counts is how it changes; `footprintOf` has the last word.
 * @param sharpness of the maximum of loading and running: where it is finite, what is close to the most counts too
 */
export function predictRam(
  { weightBytes, convolutionBytes, peakBytes, nodes }: Followed,
  sharpness = Number.POSITIVE_INFINITY,
): number {
  const loading = weightBytes + Math.max(convolutionBytes, Math.min(weightBytes, READ_AHEAD))
  const running = RUN + weightBytes + PEAK_BYTE * peakBytes
  const most = Math.max(loading, running, 1)
  const alive = most * (1 + (Math.min(loading, running) / most) ** sharpness) ** (1 / sharpness)
  return coefficients.byte * alive + coefficients.node * nodes
}

/** How many nodes compute on activations: not those that only ask for sizes, which are mostly folded. */
export function nodesThatRun(graph: Graph): number {
  const activations = new Set(graph.inputs.map(({ name }) => name))
  return graph.nodes.filter((n) => {
    const computes = n.op !== 'Shape' && n.op !== 'Size' && reads(n).some((name) => activations.has(name))
    if (computes) for (const name of n.outputs) activations.add(name)
    return computes
  }).length
}

/** Costs and memory of a graph at given dimensions: those of a run, or what `Coupling.dims` predicts. */
export function footprintOf(graph: Graph, dims: Dims, shapes: Pick<Shapes, 'batch'>): Footprint {
  return {
    ...costOf(graph, dims, shapes),
    peakActivationBytes: peakActivationBytes(graph, dims, shapes),
    predictedRamBytes: Math.round(expectedRam(memoryParts(graph, dims, shapes))),
  }
}
