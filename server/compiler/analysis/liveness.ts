import { elementCount, type Graph, type Node, reads } from '../graph/index.js'
import type { Shapes } from './shapes.js'

type Dims = Shapes['dims']

/** A stretch of activation memory: it has the size of `value`, from node `born` to node `dies`, both inclusive. */
export interface Buffer {
  readonly value: string
  readonly born: number
  dies: number
}

/** Operators whose output takes over the buffer of their first input, without computing. */
export const views = new Set(['Reshape', 'Flatten', 'Squeeze', 'Unsqueeze', 'Identity', 'Dropout'])

/** Operators that the runtime computes in place, or fuses, where an input of that size is read for the last time. */
export const inPlace = new Set([
  ...[
    'Add',
    'Sub',
    'Mul',
    'Div',
    'Relu',
    'LeakyRelu',
    'PRelu',
    'Elu',
    'Selu',
    'Clip',
    'Sigmoid',
    'HardSigmoid',
  ],
  ...[
    'HardSwish',
    'Tanh',
    'Exp',
    'Log',
    'Sqrt',
    'Abs',
    'Neg',
    'Erf',
    'Gelu',
    'Softplus',
    'BatchNormalization',
  ],
])

const ACTIVATION_BYTES = 4

/**
 * The buffers that a run of the nodes in their order needs for activations: each lives from the node that fills it to
 * its last reader, graph outputs to the end. Views share a buffer; what is computed in place takes none of its own.
 * Constants, and what depends on nothing else, are not counted.
 */
export function buffersOf(graph: Graph, dims: Dims): Buffer[] {
  const size = (value: string) => elementCount(dims.get(value) ?? [])
  const position = new Map(graph.nodes.map((n, i) => [n, i]))
  const last = (value: string) =>
    graph.isOutput(value)
      ? graph.nodes.length - 1
      : graph.consumers(value).reduce((i, n) => Math.max(i, position.get(n) ?? 0), -1)
  const holding = new Map<string, Buffer>()
  const all: Buffer[] = []
  const allocate = (value: string, born: number) => {
    const buffer = { value, born, dies: born }
    all.push(buffer)
    return buffer
  }
  const hold = (value: string, buffer: Buffer) => {
    holding.set(value, buffer)
    buffer.dies = Math.max(buffer.dies, last(value))
  }
  const takenOver = ({ op, outputs }: Node, inputs: readonly string[], i: number): Buffer | undefined => {
    if (views.has(op)) return holding.get(inputs[0])
    if (!inPlace.has(op)) return undefined
    return inputs
      .filter((name) => size(name) === size(outputs[0]))
      .map((name) => holding.get(name))
      .find((buffer) => buffer && buffer.dies === i && buffer.born >= 0)
  }
  for (const { name } of graph.inputs) hold(name, allocate(name, 0))
  graph.nodes.forEach((node, i) => {
    const inputs = [...new Set(reads(node))].filter((name) => holding.has(name))
    if (inputs.length === 0) return
    for (const name of node.outputs) {
      if (!name || graph.uses(name) === 0) continue
      const own = name === node.outputs[0] ? takenOver(node, inputs, i) : undefined
      hold(name, own ?? allocate(name, i))
    }
  })
  return all
}

/** Bytes of activations that are alive at each node. */
export function liveBytes(buffers: readonly Buffer[], nodes: number, dims: Dims): Float64Array {
  const live = new Float64Array(nodes)
  for (const { value, born, dies } of buffers) {
    const bytes = elementCount(dims.get(value) ?? []) * ACTIVATION_BYTES
    for (let i = born; i <= dies; i++) live[i] += bytes
  }
  return live
}

/** The most bytes of activations that are alive at once, for one sample. */
export const peakActivationBytes = (graph: Graph, dims: Dims, { batch }: Pick<Shapes, 'batch'>): number =>
  liveBytes(buffersOf(graph, dims), graph.nodes.length, dims).reduce((a, b) => Math.max(a, b), 0) / batch
