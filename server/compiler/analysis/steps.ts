import { elementCount, type Graph, type Node, reads } from '../graph/index.js'
import { activations, type Layout, type Placement } from './blocked.js'
import type { Shapes } from './shapes.js'

type Dims = Shapes['dims']

/** One thing that the runtime does: a node with what is fused into it, or the copy of a value from one layout to the other. */
export interface Step {
  readonly node?: Node
  readonly reads: readonly string[]
  readonly from: Layout
  readonly writes: readonly string[]
  readonly to: Layout
  /** What a convolution adds to its results: it is read in their layout, and they may lie where it lay. */
  readonly summand?: string
}

/** A value in one of its layouts. */
export const form = (value: string, layout: Layout) => `${layout} ${value}`

/** All that a step reads. */
export const readBy = ({ reads, from, summand, to }: Step): string[] => [
  ...reads.map((value) => form(value, from)),
  ...(summand === undefined ? [] : [form(summand, to)]),
]

/** A step being made. Among the steps that one reads from, the youngest is computed first. */
interface Work extends Step {
  node?: Node
  reads: readonly string[]
  writes: readonly string[]
  summand?: string
  /** An activation ends what a convolution can take in. */
  activated?: boolean
  age: number
}

/**
 * The runtime's steps in the order in which it takes them, and in what layout each reads and writes. onnxruntime orders
 * nodes by walking back from the outputs, each time to the youngest node first that was not yet visited (`ReverseDFSFrom`
 * in its graph.cc). It makes nodes anew, in that order, where it fuses an activation into a convolution, and again where
 * it moves nodes into blocks; copies between layouts are younger, and youngest are convolutions in the plain layout that
 * take in a sum.
 */
export function stepsOf(graph: Graph, dims: Dims, placements: readonly Placement[]): Step[] {
  const works = fused(graph, dims, placements)
  const count = graph.nodes.length
  const renew = (from: number, anew: (w: Work) => boolean) =>
    inOrder(
      works,
      ({ reads, summand }) => [...reads, summand ?? ''],
      ({ writes }) => writes,
    ).forEach((w, i) => {
      if (anew(w)) w.age = from + 2 * i
    })
  renew(count, ({ node, summand, activated }) => node?.op === 'Conv' && activated === true && !summand)
  renew(3 * count, ({ node, to }) => to === 'blocked' && !kept.has(node?.op ?? ''))
  const all = [...works, ...copies(graph, works, 5 * count)]
  for (const w of works) if (w.to === 'plain' && w.summand !== undefined) w.age += 7 * count
  return inOrder(all, readBy, ({ writes, to }) => writes.map((value) => form(value, to)))
}

/** Nodes that stay who they are when they move into blocks. */
const kept = new Set(['Add', 'Sum', 'Mul', 'Concat', ...activations])

/** A step a node, those that another takes in as one with it. */
function fused(graph: Graph, dims: Dims, placements: readonly Placement[]): Work[] {
  const works: Work[] = []
  const writer = new Map<string, Work>()
  const active = new Set(graph.inputs.map(({ name }) => name))
  graph.nodes.forEach((node, age) => {
    const inputs = [...new Set(reads(node))].filter((name) => active.has(name))
    if (inputs.length === 0) return
    const { reads: from, writes: to } = placements[age]
    const writes = node.outputs.filter((name) => name && graph.uses(name) > 0)
    for (const name of writes) active.add(name)
    const host = inputs
      .filter((name) => graph.uses(name) === 1)
      .map((name) => writer.get(name))
      .find((w) => w?.to === from && takes(w, node, inputs))
    const work = host ?? { node, reads: inputs, from, writes, to, age }
    if (host) {
      const others = inputs.filter((name) => !host.writes.includes(name))
      host.writes = writes
      host.activated = activations.has(node.op)
      if (others.length > 0 && convolves(host)) host.summand = others[0]
      if (node.op === 'Mul') host.node = node
    } else works.push(work)
    for (const name of writes) writer.set(name, work)
  })

  /** Whether a step takes in a node that reads its results. */
  function takes(w: Work, { op, inputs }: Node, variable: readonly string[]): boolean {
    if (gates(w, op, variable)) return true
    if (w.activated || !(convolves(w) || w.node?.op === 'Gemm')) return false
    if (activations.has(op)) return true
    if (w.summand !== undefined || w.node?.op === 'Gemm') return false
    if (op === 'BatchNormalization') return variable.length === 1
    if (op !== 'Add' && op !== 'Mul' && op !== 'Sum') return false
    const all = dims.get(w.writes[0]) ?? []
    if (variable.length === 1)
      return inputs.some((name) => !active.has(name) && elementCount(dims.get(name) ?? []) === all[1])
    const alike = variable.every((name) => `${dims.get(name)}` === `${all}`)
    return op !== 'Mul' && variable.length === 2 && alike
  }
  return works
}

/** A normalisation in blocks that nothing takes in is computed as a convolution of each channel alone. */
const convolves = ({ node, to }: Step): boolean =>
  node?.op === 'Conv' || (node?.op === 'BatchNormalization' && to === 'blocked')

/** Whether x · sigmoid(x) is computed at once. */
const gates = (w: Work, op: string, inputs: readonly string[]): boolean =>
  op === 'Mul' && w.node?.op === 'Sigmoid' && inputs.length === 2 && inputs.includes(w.reads[0])

/** Copies of values into the layouts in which they are wanted, each once. @param last the age of the first copy back */
function copies(graph: Graph, works: readonly Work[], last: number): Work[] {
  const held = new Map<string, Layout>(graph.inputs.map(({ name }) => [name, 'plain']))
  for (const { writes, to } of works) for (const name of writes) held.set(name, to)
  const made = new Map<string, Work>()
  const bring = (value: string, to: Layout, age: number) => {
    const from = held.get(value)
    if (from === undefined || from === to || made.has(value)) return
    made.set(value, {
      reads: [value],
      from,
      writes: [value],
      to,
      age: to === 'plain' ? last + made.size : age,
    })
  }
  for (const { reads, from, summand, to, age } of works) {
    for (const name of reads) bring(name, from, age + 1)
    if (summand !== undefined) bring(summand, to, age + 1)
  }
  for (const { name } of graph.outputs) bring(name, 'plain', last)
  return [...made.values()]
}

/** Each after those that it needs something of, the youngest of them first. */
function inOrder(
  works: readonly Work[],
  needs: (w: Work) => readonly string[],
  gives: (w: Work) => readonly string[],
): Work[] {
  const writer = new Map(works.flatMap((w) => gives(w).map((value) => [value, w])))
  const before = (w: Work) =>
    needs(w)
      .flatMap((value) => writer.get(value) ?? [])
      .sort((a, b) => a.age - b.age)
  const read = new Set(works.flatMap(before))
  const stack = works
    .filter((w) => !read.has(w))
    .sort((a, b) => a.age - b.age)
    .map((work) => ({ work, done: false }))
  const seen = new Set<Work>()
  const order: Work[] = []
  for (let next = stack.pop(); next; next = stack.pop()) {
    const { work, done } = next
    if (done) order.push(work)
    if (done || seen.has(work)) continue
    seen.add(work)
    stack.push({ work, done: true }, ...before(work).map((w) => ({ work: w, done: false })))
  }
  return order
}
