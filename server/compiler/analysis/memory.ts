import type { Graph } from '../graph/index.js'
import { type Cost, costOf } from './cost.js'
import { peakActivationBytes } from './liveness.js'
import type { Shapes } from './shapes.js'

export interface Footprint extends Cost {
  /** The most bytes of activations alive at once. */
  readonly peakActivationBytes: number
  /** Memory, as the product's terms define it, that a process is expected to need for the model. */
  readonly predictedRamBytes: number
}

/**
 * What resident bytes consist of: least squares over 63 networks (nine, dense and pruned) measured in five processes
 * each with onnxruntime-node 1.30 on x86-64 with AVX-512, errors relative. They belong to that runtime, its options
 * and that machine. Of networks left out of the fit, 51 of 63 were within 10 % or 1 MB, with a median error of 9 %.
 */
export const coefficients = {
  base: 0.36e6,
  /** A byte of constants: the runtime holds them as read and once more as its kernels want them. */
  weightByte: 2.21,
  /** A byte of the activations' peak: the arena grows by doubling and is not compacted. */
  peakByte: 3.51,
  /** A node other than a Constant. */
  node: 12.5e3,
} as const

/** Memory that a model of these sizes is expected to add to the runtime's base. */
export const predictRam = (weightBytes: number, peakBytes: number, nodes: number): number =>
  coefficients.base +
  coefficients.weightByte * weightBytes +
  coefficients.peakByte * peakBytes +
  coefficients.node * nodes

/** Nodes that the memory model counts. */
export const nodesThatRun = (graph: Graph): number => graph.nodes.filter((n) => n.op !== 'Constant').length

/** Costs and memory of a graph at given dimensions: those of a run, or what `Coupling.dims` predicts. */
export function footprintOf(graph: Graph, dims: Shapes['dims'], shapes: Pick<Shapes, 'batch'>): Footprint {
  const cost = costOf(graph, dims, shapes)
  const peak = peakActivationBytes(graph, dims, shapes)
  const predicted = predictRam(cost.weightBytes, peak, nodesThatRun(graph))
  return { ...cost, peakActivationBytes: peak, predictedRamBytes: Math.round(predicted) }
}
