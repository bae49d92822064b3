import { elementCount, type Graph, type Node, reads } from '../graph/index.js'
import { BLOCK, type Layout, type Placement } from './blocked.js'
import { inPlace, views } from './liveness.js'
import type { Shapes } from './shapes.js'

type Dims = Shapes['dims']

/** Memory that a run takes: so many bytes from step `born` to step `dies`, both inclusive. */
export interface Allocation {
  readonly bytes: number
  readonly born: number
  dies: number
}

/** One thing that the runtime does: a node, or the copy of a value from one layout to the other. */
interface Step {
  readonly node?: Node
  readonly reads: readonly string[]
  readonly from: Layout
  readonly writes: readonly string[]
  readonly to: Layout
}

const FLOAT_BYTES = 4

/**
 * What one run allocates for one sample, in that order, nodes taken in theirs: every value in the layout in which it is
 * written, once more where a reader wants it in the other, and what kernels compute in. The caller's inputs and
 * constants are not among them, graph outputs live to the end. A value takes over the memory of another where `liveness`
 * says so, or of the last that is free of the same shape (`FindReusableTensor` of its planner), which is then held all the
 * while, if the runtime can tell beforehand that their sizes agree: not where an axis but the first is dynamic.
 */
export function allocationsOf(
  graph: Graph,
  dims: Dims,
  placements: readonly Placement[],
  { batch }: Pick<Shapes, 'batch'>,
): Allocation[] {
  const steps = stepsOf(graph, placements)
  const lastRead = new Map<string, number>()
  steps.forEach((s, i) => {
    for (const value of s.reads) lastRead.set(form(value, s.from), i)
  })
  for (const { name } of graph.outputs) lastRead.set(form(name, 'plain'), steps.length - 1)
  const sized = sizesAreKnown(graph)
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
  steps.forEach(({ node, reads, from, writes, to }, i) => {
    const inputs = reads.map((value) => holding.get(form(value, from)))
    writes.forEach((value, k) => {
      const bytes = bytesOf(dims.get(value) ?? [], to) / batch
      let own: Allocation | undefined
      if (node && k === 0 && from === to) {
        if (views.has(node.op)) own = inputs[0]
        else if (inPlace.has(node.op) && sized) own = inputs.find((a) => a?.dies === i && a.bytes === bytes)
      }
      const shape = `${padded(dims.get(value) ?? [], to)}`
      if (sized && !graph.isOutput(value)) own ??= free(shape, i)
      own ??= allocate(bytes, i, graph.isOutput(value) ? '' : shape)
      own.dies = Math.max(own.dies, lastRead.get(form(value, to)) ?? i)
      holding.set(form(value, to), own)
    })
    if (node?.op === 'ConvTranspose') allocate(columnBytes(node, dims) / batch, i)
  })
  return all
}

const form = (value: string, layout: Layout) => `${layout} ${value}`

/** The runtime's steps, and in what layout each reads and writes. */
function stepsOf(graph: Graph, placements: readonly Placement[]): Step[] {
  const held = new Map<string, Set<Layout>>(graph.inputs.map(({ name }) => [name, new Set(['plain'])]))
  const steps: Step[] = []
  const bring = (value: string, to: Layout) => {
    const layouts = held.get(value)
    if (!layouts || layouts.has(to)) return
    layouts.add(to)
    steps.push({ reads: [value], from: to === 'plain' ? 'blocked' : 'plain', writes: [value], to })
  }
  graph.nodes.forEach((node, i) => {
    const inputs = [...new Set(reads(node))].filter((name) => held.has(name))
    if (inputs.length === 0) return
    const { reads: from, writes: to } = placements[i]
    for (const name of inputs) bring(name, from)
    const writes = node.outputs.filter((name) => name && graph.uses(name) > 0)
    for (const name of writes) held.set(name, new Set([to]))
    steps.push({ node, reads: inputs, from, writes, to })
  })
  for (const { name } of graph.outputs) bring(name, 'plain')
  return steps
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

const sizesAreKnown = (graph: Graph): boolean =>
  graph.inputs.every(({ dims }) =>
    dims?.every((d, axis) => typeof d === 'number' || (axis === 0 && d !== null)),
  )
