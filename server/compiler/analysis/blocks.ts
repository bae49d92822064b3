import { type Edge, elementCount, type Graph, type Node, nodesNeeded, reads } from '../graph/index.js'
import { opFor } from '../ops/index.js'
import type { Slice, Unit } from './coupling.js'
import type { Shapes } from './shapes.js'
import { weightsOf } from './weights.js'

/**
 * A residual branch: b in y = x + b, where x passes b by and b is exactly zero once the constants of `slices` are. It
 * goes as a whole, and y is x from then on. A network's depth is made of these: a transformer's layer is two of them.
 */
export interface Block extends Unit {
  /** For people: the node that adds the branch. */
  readonly label: string
  /** Where the branch ends: the input of the sum. */
  readonly edge: Edge
  /** Value at which the identity path parts from the branch. */
  readonly from: string
  /** What goes when the branch goes alone, in graph order. */
  readonly nodes: readonly Node[]
}

export const isBlock = (unit: Unit): unit is Block => 'edge' in unit

/** The edges that go with the blocks among these units. */
export const edgesOf = (units: Iterable<Unit>): Edge[] => [...units].filter(isBlock).map((b) => b.edge)

/**
 * The blocks of a graph whose constants have one consumer each, in graph order. A branch is one if
 * - the other operands of its sum have the sum's shape, depend on the network's input, and the branch starts from one
 *   of them (or from a term of one that is a sum itself, as parallel branches do): a shortcut that projects is none;
 * - constants can make it zero, by what its operators say of zeros (`ops/zeros`), that nothing else depends on. So if
 *   something else reads a value inside it, only what follows that value goes, and if its end is read there is no block.
 * Blocks may nest. Ids are below zero, so that they are no atoms.
 */
export function blocksOf(graph: Graph, shapes: Shapes): Block[] {
  const blocks: Block[] = []
  const needed = nodesNeeded(graph)
  const varies = dependents(graph)
  const weights = weightsOf(graph)
  for (const sum of graph.nodes) {
    if (!needed.has(sum)) continue
    for (const input of droppable(sum)) {
      const [value] = sum.outputs
      const passing = identities(graph, shapes, sum, input).filter((x) => varies.has(x))
      const from = parting(graph, sum.inputs[input], new Set(passing))
      if (from === undefined) continue
      const edge = { value, input }
      const left = nodesNeeded(graph, [edge])
      const dying = new Set(graph.nodes.filter((n) => needed.has(n) && !left.has(n) && n.op !== 'Constant'))
      const zeroed = zeroing(graph, sum.inputs[input], dying, weights)
      if (!zeroed) continue
      blocks.push({
        id: -1 - blocks.length,
        label: sum.name || value,
        edge,
        from,
        nodes: [...dying],
        slices: [...zeroed].map((tensor) => allOf(graph, tensor)),
      })
    }
  }
  return blocks
}

function droppable(sum: Node): readonly number[] {
  const drops = opFor(sum)?.zeros?.drops ?? []
  return drops === 'any' ? [...sum.inputs.keys()] : drops
}

/** Inputs that a node hands on unchanged where all its others are left out. */
function terms(sum: Node): readonly string[] {
  const drops = droppable(sum)
  return sum.inputs.filter(
    (_, i) => drops.length > 0 && sum.inputs.every((_, k) => k === i || drops.includes(k)),
  )
}

/** Whatever is computed from the network's inputs. */
function dependents(graph: Graph): Set<string> {
  const found = new Set(graph.inputs.map((v) => v.name))
  for (const n of graph.nodes) if (reads(n).some((i) => found.has(i))) for (const o of n.outputs) found.add(o)
  return found
}

/** What a sum passes on without one of its inputs: operands of its shape, and the terms of those that are sums. */
function identities(graph: Graph, { dims }: Shapes, sum: Node, without: number): string[] {
  const alike = (name: string) => `${dims.get(name)}` === `${dims.get(sum.outputs[0])}`
  const found = new Set<string>()
  const open = sum.inputs.filter((name, i) => i !== without && alike(name))
  for (let value = open.pop(); value !== undefined; value = open.pop()) {
    if (found.has(value)) continue
    found.add(value)
    const n = graph.producer(value)
    if (n) open.push(...terms(n).filter(alike))
  }
  return [...found]
}

/** The first of these values that is met on the way back from the end of a branch. A shape is no value. */
function parting(graph: Graph, branch: string, passing: ReadonlySet<string>): string | undefined {
  if (passing.size === 0) return undefined
  const seen = new Set<string>()
  const open = [branch]
  for (let value = open.pop(); value !== undefined; value = open.pop()) {
    if (seen.has(value)) continue
    seen.add(value)
    if (passing.has(value)) return value
    const n = graph.producer(value)
    if (n && n.op !== 'Shape' && n.op !== 'Size') open.push(...reads(n))
  }
  return undefined
}

/**
 * Constants that make `value` zero and that only nodes of `dying`, in graph order, read: at each node the fewest that
 * will do, which are those nearest to the end of the branch. Undefined if there are none.
 */
function zeroing(
  graph: Graph,
  value: string,
  dying: ReadonlySet<Node>,
  weights: ReadonlySet<string>,
): ReadonlySet<string> | undefined {
  const isOwn = (name: string) =>
    weights.has(name) && graph.uses(name) === 1 && elementCount(graph.constant(name)?.dims ?? []) > 1
  const known = new Map<string, ReadonlySet<string>>([['', new Set()]])
  for (const n of dying) {
    for (const name of n.inputs) if (isOwn(name)) known.set(name, new Set([name]))
    n.outputs.forEach((name, i) => {
      const ways = zeroSets(graph, n, i).flatMap((inputs) => {
        const parts = inputs.map((k) => known.get(n.inputs[k] ?? ''))
        return parts.every((p) => p !== undefined) ? [new Set(parts.flatMap((p) => [...p]))] : []
      })
      const fewest = ways.sort((x, y) => x.size - y.size)[0]
      if (name && fewest) known.set(name, fewest)
    })
  }
  return known.get(value)
}

function zeroSets(graph: Graph, node: Node, output: number): readonly (readonly number[])[] {
  const rule = opFor(node)?.zeros?.when ?? []
  const constant = (i: number) => (node.inputs[i] ? graph.constant(node.inputs[i]) : undefined)
  const sets = typeof rule === 'function' ? rule({ graph, node, opset: graph.opset, constant }, output) : rule
  const all = [...node.inputs.keys()]
  if (sets === 'all') return [all]
  return sets === 'any' ? all.map((i) => [i]) : sets
}

const allOf = (graph: Graph, tensor: string): Slice => ({
  tensor,
  axis: 0,
  indices: [...Array(graph.constant(tensor)?.dims[0] ?? 0).keys()],
})
