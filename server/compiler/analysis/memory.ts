import { elementCount, type Graph, type Tensor } from '../graph/index.js'
import { arenaBytes } from './arena.js'
import { BLOCK, type Placement, placementsOf } from './blocked.js'
import { type Cost, costOf } from './cost.js'
import { allocationsOf, bytesOf } from './execution.js'
import { peakActivationBytes } from './liveness.js'
import { constants, type Shapes } from './shapes.js'

export interface Footprint extends Cost {
  /** The most bytes of activations alive at once. */
  readonly peakActivationBytes: number
  /** Memory, as the product's terms define it, that a process is expected to need for the model. */
  readonly predictedRamBytes: number
}

/** What the memory of a loaded network consists of. */
export interface MemoryParts {
  /** Bytes of the weights of convolutions that run in blocks, padded to whole ones. */
  readonly blockedBytes: number
  /** Bytes of all other constants. */
  readonly plainBytes: number
  /** How many constants there are. */
  readonly constants: number
  /** Bytes that a run touches of the runtime's arena. */
  readonly arenaBytes: number
  /** Bytes of the network's inputs, and of what the measured queries gave. */
  readonly outsideBytes: number
}

export type MemoryCoefficients = Readonly<Record<keyof typeof coefficients, number>>

/**
 * Resident bytes by what they are for: least squares over 144 forms, dense and pruned, of 66 networks, each measured in
 * five processes, errors relative. They belong to onnxruntime-node 1.30 with the options of `sessionOptions`, to glibc's
 * allocator, and to x86-64 with AVX-512. Of networks left out of the fit, 128 forms of 144 came within 10 % or 1 MB, with
 * a median error of 7 %; of the 56 above 10 MB, 41 did, with a median of 5 %. `npm run bench -- memory` fits them anew.
 */
export const coefficients = {
  /** A session, and the runtime's code that is touched for the first time. */
  base: 0.57e6,
  /** A byte of a convolution's weights in blocks: as read, reordered, and once more when the session takes them over. */
  blockedByte: 3.01,
  /** A byte of any other constant: as read, and where it is packed for its kernel once more. */
  plainByte: 1.87,
  /** A constant: its description in the file, the graph and the session, and the node that reads it. */
  constant: 7.86e3,
  /** A byte of the arena, of an input or of an output. */
  activationByte: 1.08,
} as const

/** The share of the weights' bytes that loading frees and a run takes for its activations. */
const REUSED = 0.2

/** What `coefficients` are multiplied with, in their order. */
export const memoryFeatures = (p: MemoryParts): number[] => [
  1,
  p.blockedBytes,
  p.plainBytes,
  p.constants,
  Math.max(0, p.arenaBytes + p.outsideBytes - REUSED * (p.blockedBytes + p.plainBytes)),
]

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
    ...weightParts(graph, dims, placements),
    arenaBytes: arenaBytes(allocationsOf(graph, dims, placements, shapes), kept),
    outsideBytes: outside(graph.inputs, 1) + outside(graph.outputs, QUERIES),
  }
}

function weightParts(graph: Graph, dims: Dims, placements: readonly Placement[]) {
  const blocked = new Map<string, number>()
  graph.nodes.forEach((n, i) => {
    if (n.op !== 'Conv' || placements[i].writes === 'plain') return
    const [outputs = 0, inputs = 0, ...kernel] = dims.get(n.inputs[1]) ?? []
    const whole = (channels: number) => BLOCK * Math.ceil(channels / BLOCK)
    const padded = placements[i].reads === 'blocked' && inputs > 1 ? whole(inputs) : inputs
    blocked.set(n.inputs[1], 4 * whole(outputs) * padded * elementCount(kernel))
  })
  const parts = { blockedBytes: 0, plainBytes: 0, constants: 0 }
  const counted = new Set<Tensor>()
  for (const [name, t] of constants(graph)) {
    if (counted.has(t) || graph.uses(name) === 0) continue
    counted.add(t)
    const inBlocks = blocked.get(name)
    const bytes = inBlocks ?? elementCount(dims.get(name) ?? t.dims) * t.data.BYTES_PER_ELEMENT
    parts[inBlocks === undefined ? 'plainBytes' : 'blockedBytes'] += bytes
    parts.constants++
  }
  return parts
}

/** What a byte of constants, and one of activations at their peak, mostly comes to. */
const SLOPES = { weightByte: 2.5, peakByte: 1.4 } as const

/**
 * The same memory by what a search can follow step by step: bytes of constants, of activations at their peak, and nodes.
 * Its slopes are what counts; `footprintOf` has the last word.
 */
export const predictRam = (weightBytes: number, peakBytes: number, nodes: number): number =>
  coefficients.base +
  SLOPES.weightByte * weightBytes +
  SLOPES.peakByte * peakBytes +
  2 * coefficients.constant * nodes

/** Nodes that the memory model counts. */
export const nodesThatRun = (graph: Graph): number => graph.nodes.filter((n) => n.op !== 'Constant').length

/** Costs and memory of a graph at given dimensions: those of a run, or what `Coupling.dims` predicts. */
export function footprintOf(graph: Graph, dims: Dims, shapes: Pick<Shapes, 'batch'>): Footprint {
  return {
    ...costOf(graph, dims, shapes),
    peakActivationBytes: peakActivationBytes(graph, dims, shapes),
    predictedRamBytes: Math.round(expectedRam(memoryParts(graph, dims, shapes))),
  }
}
