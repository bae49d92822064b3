import { elementCount, type Graph, intAttribute, type Node, reads, stringAttribute } from '../graph/index.js'
import type { Shapes } from './shapes.js'

/**
 * How onnxruntime holds an activation. Convolutions and what follows them run in blocks of channels, [N, C/16, H, W, 16]
 * with the last block padded (Georganas et al. 2018, "Anatomy of High-Performance Deep Learning Convolutions on SIMD
 * Architectures"); what cannot reads and writes the plain layout, and a copy is made wherever the two meet.
 */
export type Layout = 'plain' | 'blocked'

/** The layout of what a node reads and of what it writes. */
export interface Placement {
  readonly reads: Layout
  readonly writes: Layout
}

/** Channels of one block: those of an AVX-512 register, on which the memory model was fitted. */
export const BLOCK = 16
/** Blocks are padded for these multiples; other counts are computed plainly. */
const ALIGNED = 4

type Held = ReadonlyMap<string, Layout>

const plain: Placement = { reads: 'plain', writes: 'plain' }
const blocked: Placement = { reads: 'blocked', writes: 'blocked' }
const entering: Placement = { reads: 'plain', writes: 'blocked' }

/** Activations that a convolution takes in, and those that run in blocks by themselves. */
export const activations = new Set([
  'Relu',
  'LeakyRelu',
  'Clip',
  'Sigmoid',
  'Tanh',
  'HardSigmoid',
  'HardSwish',
])
const blockwise = new Set(['Relu', 'Sigmoid', 'Tanh', 'HardSigmoid', 'HardSwish'])

/** Where onnxruntime 1.30 places every node of a graph at given dimensions of its values. */
export function placementsOf(graph: Graph, dims: Shapes['dims']): Placement[] {
  const held = new Map<string, Layout>(graph.inputs.map(({ name }) => [name, 'plain']))
  return graph.nodes.map((n) => {
    const placement = placementOf(graph, n, dims, held)
    if (reads(n).some((name) => held.has(name))) for (const o of n.outputs) held.set(o, placement.writes)
    return placement
  })
}

/** @param held the layout of activations so far; what is not among them is constant */
function placementOf(graph: Graph, n: Node, all: Shapes['dims'], held: Held): Placement {
  const dims = (i: number) => all.get(n.inputs[i] ?? '') ?? []
  const channels = dims(0)[1] ?? 0
  if (n.domain !== '') return plain
  if (n.op === 'Conv')
    return n.inputs.slice(1).some((name) => held.has(name)) ? plain : convolution(n, dims(1))
  if (n.op === 'MaxPool' || n.op === 'AveragePool')
    return dims(0).length === 4 && channels % BLOCK === 0 && n.outputs.length === 1 ? blocked : plain
  const variable = n.inputs.filter((name) => held.has(name))
  if (variable.length === 0 || variable.some((name) => held.get(name) === 'plain')) return plain
  const whole = variable.every((name) => (all.get(name)?.[1] ?? 0) % BLOCK === 0)
  switch (n.op) {
    case 'GlobalAveragePool':
    case 'GlobalMaxPool':
      return whole ? blocked : plain
    case 'Concat':
      return whole && variable.length === n.inputs.length && intAttribute(n, 'axis', 0) === 1
        ? blocked
        : plain
    case 'Add':
    case 'Sum':
    case 'Mul':
      return variable.length === n.inputs.length
        ? alike(variable.map((name) => all.get(name) ?? []))
        : folded(graph, n, elementCount(dims(0)) < elementCount(dims(1)) ? dims(0) : dims(1), channels, held)
    case 'BatchNormalization':
      return blocked
    case 'Resize':
      return nearest(n) ? blocked : plain
    default:
      return blockwise.has(n.op) || (activations.has(n.op) && followsConvolution(graph, n, held))
        ? blocked
        : plain
  }
}

/** Weights are [outputs, inputs a group, height, width]; fewer inputs than a block are read where they lie. */
function convolution(n: Node, weights: readonly number[]): Placement {
  const [outputs = 0, inputs = 0] = weights
  if (weights.length !== 4) return plain
  const groups = intAttribute(n, 'group', 1)
  if (groups === 1) return inputs < BLOCK ? entering : inputs % ALIGNED === 0 ? blocked : plain
  if (inputs === 1 && outputs === groups) return outputs % ALIGNED === 0 ? blocked : plain
  return inputs % BLOCK === 0 && (outputs / groups) % BLOCK === 0 ? blocked : plain
}

const alike = (all: readonly (readonly number[])[]): Placement =>
  all.every((dims) => `${dims}` === `${all[0]}`) ? blocked : plain

/** A constant a channel, added or multiplied, goes into the convolution before it. */
const folded = (
  graph: Graph,
  n: Node,
  constant: readonly number[],
  channels: number,
  held: Held,
): Placement => (elementCount(constant) === channels && followsConvolution(graph, n, held) ? blocked : plain)

function followsConvolution(graph: Graph, n: Node, held: Held): boolean {
  const input = n.inputs.find((name) => held.has(name)) ?? ''
  const before = graph.producer(input)
  if (!before || graph.uses(input) !== 1) return false
  if (before.op === 'Conv') return true
  return ['BatchNormalization', 'Add', 'Mul'].includes(before.op) && followsConvolution(graph, before, held)
}

/** Resize by whole factors, each output taken from the input at the floor of its place. */
const nearest = (n: Node): boolean =>
  n.inputs.length === 3 &&
  stringAttribute(n, 'mode', 'nearest') === 'nearest' &&
  stringAttribute(n, 'coordinate_transformation_mode', '') === 'asymmetric' &&
  stringAttribute(n, 'nearest_mode', '') === 'floor'
