import { elementCount, type Graph, intAttribute, type Node, reads } from '../graph/index.js'
import { BLOCK, type Layout, type Placement } from './blocked.js'
import { views } from './liveness.js'
import type { Shapes } from './shapes.js'
import { form, readBy, type Step, stepsOf } from './steps.js'

type Dims = Shapes['dims']

/** Memory that a run takes: so many bytes from step `born` to step `dies`, both inclusive. */
export interface Allocation {
  readonly bytes: number
  readonly born: number
  dies: number
}

const FLOAT_BYTES = 4

/** Operators whose kernels write over an input that is read for the last time: those of one input that ask for it. */
const inPlace = new Set([
  ...['Relu', 'LeakyRelu', 'Elu', 'Selu', 'Clip', 'Sigmoid', 'HardSigmoid', 'Tanh', 'Softplus', 'Softsign'],
  ...['ThresholdedRelu', 'Softmax'],
])

/**
 * What one run allocates for one sample, in that order: every value in the layout in which it is
 * written, once more where a reader wants it in the other, and what kernels compute in. The caller's inputs and
 * constants are not among them, graph outputs live to the end. A value takes over the memory of another where its
 * kernel can write over it, or of the last that is free of the same shape (`FindReusableTensor` of its planner), which is then held all the
 * while, if the runtime can tell beforehand that their sizes agree: not where an axis but the first is dynamic.
 */
export function allocationsOf(
  graph: Graph,
  dims: Dims,
  placements: readonly Placement[],
  { batch }: Pick<Shapes, 'batch'>,
): Allocation[] {
  const steps = stepsOf(graph, dims, placements)
  const lastRead = new Map<string, number>()
  steps.forEach((s, i) => {
    for (const value of readBy(s)) lastRead.set(value, i)
  })
  for (const { name } of graph.outputs) lastRead.set(form(name, 'plain'), steps.length - 1)
  const sized = sizedValues(graph)
  const holding = new Map<string, Allocation>()
  const all: Allocation[] = []
  const shapes = new Map<Allocation, string>()
  const allocate = (bytes: number, born: number, shape = '') => {
    const a = { bytes, born, dies: born }
    all.push(a)
    shapes.set(a, shape)
    return a
  }
  /** The last that was let go of its shape. */
  const free = (shape: string, step: number) =>
    all.reduce<Allocation | undefined>(
      (last, a) => (a.dies < step && shapes.get(a) === shape && a.dies >= (last?.dies ?? 0) ? a : last),
      undefined,
    )
  const takenOver = (step: Step) => mayTakeOver(step).map((value) => holding.get(value))
  steps.forEach((step, i) => {
    const { node, from, writes, to } = step
    writes.forEach((value, k) => {
      const bytes = bytesOf(dims.get(value) ?? [], to) / batch
      let own: Allocation | undefined
      if (node && k === 0 && views.has(node.op)) own = holding.get(form(step.reads[0], from))
      else if (node && k === 0 && sized.has(value))
        own = takenOver(step).find((a) => a?.dies === i && a.bytes === bytes)
      const shape = `${padded(dims.get(value) ?? [], to)}`
      if (sized.has(value) && !graph.isOutput(value)) own ??= free(shape, i)
      own ??= allocate(bytes, i, graph.isOutput(value) ? '' : shape)
      own.dies = Math.max(own.dies, lastRead.get(form(value, to)) ?? i)
      holding.set(form(value, to), own)
    })
    if (node?.op === 'ConvTranspose') allocate(columnBytes(node, dims) / batch, i)
  })
  return all
}

/** Values, in their layouts, whose memory a step's first result may take over. */
function mayTakeOver(step: Step): readonly string[] {
  if (step.summand !== undefined) return [form(step.summand, step.to)]
  return inPlace.has(step.node?.op ?? '') ? readBy(step) : []
}

/** Bytes of a value; in blocks its channels are padded to whole ones. */
export function bytesOf(dims: readonly number[], layout: Layout): number {
  return FLOAT_BYTES * elementCount(padded(dims, layout))
}

const padded = (dims: readonly number[], layout: Layout): readonly number[] =>
  layout === 'plain' ? dims : dims.map((d, axis) => (axis === 1 ? BLOCK * Math.ceil(d / BLOCK) : d))

/** Columns that a transposed convolution computes before it adds them up: [outputs · kernel, places of the input]. */
function columnBytes(node: Node, dims: Dims): number {
  const input = dims.get(node.inputs[0]) ?? []
  const [, ...columns] = dims.get(node.inputs[1]) ?? []
  return (FLOAT_BYTES * elementCount(columns) * elementCount(input)) / (input[1] || 1)
}

/**
 * Values whose size the runtime knows beforehand, but for that of their first axis. It is lost behind an input with other
 * dynamic axes, and where an operator is told its result's sizes by something computed; a global pooling leaves ones.
 */
function sizedValues(graph: Graph): Set<string> {
  const sized = new Map<string, boolean>(
    graph.inputs.map(({ name, dims }) => [
      name,
      dims?.every((d, axis) => typeof d === 'number' || (axis === 0 && d !== null)) ?? false,
    ]),
  )
  for (const n of graph.nodes) {
    const [first, ...rest] = reads(n).map((name) => sized.get(name))
    const told = toldTheirSizes.has(n.op) && rest.some((known) => known !== undefined)
    const lost = first === false || rest.includes(false)
    if (first === undefined && rest.every((known) => known === undefined)) continue
    for (const name of n.outputs) sized.set(name, n.op.startsWith('Global') || !(told || lost))
  }
  return new Set([...sized.keys()].filter((name) => sized.get(name)))
}

/** Operators whose other inputs say what sizes their result has. */
const toldTheirSizes = new Set([
  'Reshape',
  'Expand',
  'Resize',
  'Upsample',
  'Slice',
  'Tile',
  'Pad',
  'ConstantOfShape',
])

/** Bytes of weights of transposed convolutions, [inputs, outputs, …kernel], that a session keeps in its arena, each turned. */
export const transposedBytes = (graph: Graph, dims: Dims): number[] =>
  graph.nodes
    .filter(({ op }) => op === 'ConvTranspose')
    .map((n) => {
      const [inputs = 0, ...outputs] = dims.get(n.inputs[1]) ?? []
      const columns = elementCount(outputs)
      return inputs / intAttribute(n, 'group', 1) === 1 || columns === 1 ? 0 : FLOAT_BYTES * inputs * columns
    })
