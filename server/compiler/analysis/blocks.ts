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
 * Blocks may nest. Ids are below zero, so that they are no atoms. Each sum is looked at as far back as its branch reaches,
 * so that a deep network takes as long as its blocks are large together.
 */
export function blocksOf(graph: Graph, shapes: Shapes): Block[] {
  const blocks: Block[] = []
  const lifetimes = new Lifetimes(graph)
  const back = new WayBack(graph, shapes)
  const weights = weightsOf(graph)
  for (const sum of graph.nodes) {
    if (!lifetimes.needed.has(sum)) continue
    for (const input of droppable(sum)) {
      const [value] = sum.outputs
      const from = back.parting(sum, input)
      if (from === undefined) continue
      const edge = { value, input }
      const dying = lifetimes.without(sum, input).filter((n) => n.op !== 'Constant')
      const zeroed = zeroing(graph, sum.inputs[input], dying, weights)
      if (!zeroed) continue
      blocks.push({
        id: -1 - blocks.length,
        label: sum.name || value,
        edge,
        from,
        nodes: dying,
        slices: [...zeroed].map((tensor) => allOf(graph, tensor)),
      })
    }
  }
  return blocks
}

/** Who needs which node: counts of uses, so that what goes with an edge is found by following what falls to none. */
class Lifetimes {
  readonly needed: ReadonlySet<Node>
  readonly #graph: Graph
  readonly #position: ReadonlyMap<Node, number>
  readonly #uses = new Map<Node, number>()

  constructor(graph: Graph) {
    this.#graph = graph
    this.needed = nodesNeeded(graph)
    this.#position = new Map(graph.nodes.map((n, i) => [n, i]))
    const use = (value: string) => {
      const n = graph.producer(value)
      if (n) this.#uses.set(n, (this.#uses.get(n) ?? 0) + 1)
    }
    for (const { name } of graph.outputs) use(name)
    for (const n of this.needed) reads(n).forEach(use)
  }

  /** The nodes that nothing needs once `sum` leaves out an input, in graph order. */
  without(sum: Node, input: number): Node[] {
    const left = new Map<Node, number>()
    const gone: Node[] = []
    const open = [sum.inputs[input]]
    for (let value = open.pop(); value !== undefined; value = open.pop()) {
      const n = this.#graph.producer(value)
      if (!n) continue
      const uses = (left.get(n) ?? this.#uses.get(n) ?? 0) - 1
      left.set(n, uses)
      if (uses > 0) continue
      gone.push(n)
      open.push(...reads(n))
    }
    const at = (n: Node) => this.#position.get(n) ?? 0
    return gone.sort((a, b) => at(a) - at(b))
  }
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

/** Values that are computed from the network's inputs, by the place of the node that makes them; an input's is -1. */
function dependents(graph: Graph): Map<string, number> {
  const found = new Map(graph.inputs.map((v) => [v.name, -1]))
  graph.nodes.forEach((n, i) => {
    if (reads(n).some((name) => found.has(name))) for (const o of n.outputs) found.set(o, i)
  })
  return found
}

/** Where branches part from the paths that pass them by. */
class WayBack {
  readonly #graph: Graph
  readonly #dims: Shapes['dims']
  readonly #places: ReadonlyMap<string, number>

  constructor(graph: Graph, { dims }: Shapes) {
    this.#graph = graph
    this.#dims = dims
    this.#places = dependents(graph)
  }

  /**
   * The last value on which a branch into a sum depends, and that the sum passes on without it: an operand of its shape,
   * or a term of one that is a sum itself. A shape is no value. Undefined if there is none.
   */
  parting(sum: Node, input: number): string | undefined {
    const dims = (name: string) => `${this.#dims.get(name)}`
    const alike = (name: string) => dims(name) === dims(sum.outputs[0])
    const passing = new Frontier(this.#places)
    const branch = new Frontier(this.#places)
    passing.add(sum.inputs.filter((name, i) => i !== input && alike(name)))
    branch.add([sum.inputs[input]])
    while (!branch.isEmpty && (!passing.isEmpty || branch.place >= passing.least)) {
      if (passing.place >= branch.place) {
        const n = this.#graph.producer(passing.take())
        if (n) passing.add(terms(n).filter(alike))
        continue
      }
      const value = branch.take()
      if (passing.seen.has(value)) return value
      const n = this.#graph.producer(value)
      if (n && n.op !== 'Shape' && n.op !== 'Size') branch.add(reads(n))
    }
    return undefined
  }
}

/** A search back from some values, last ones first. */
class Frontier {
  readonly seen = new Set<string>()
  /** The first place that was seen, infinite if none was. */
  least = Number.POSITIVE_INFINITY
  #open: string[] = []
  readonly #places: ReadonlyMap<string, number>

  constructor(places: ReadonlyMap<string, number>) {
    this.#places = places
  }

  /** The place of the next; below all others if there is none. */
  get place(): number {
    return this.isEmpty ? Number.NEGATIVE_INFINITY : this.#at(this.#open[this.#open.length - 1])
  }

  get isEmpty(): boolean {
    return this.#open.length === 0
  }

  take(): string {
    return this.#open.pop() ?? ''
  }

  /** Values that depend on no input are left out. */
  add(values: readonly string[]): void {
    for (const value of values) {
      if (this.seen.has(value) || !this.#places.has(value)) continue
      this.seen.add(value)
      this.least = Math.min(this.least, this.#at(value))
      this.#open.push(value)
    }
    this.#open.sort((a, b) => this.#at(a) - this.#at(b))
  }

  #at(value: string): number {
    return this.#places.get(value) ?? -1
  }
}

/**
 * Constants that make `value` zero and that only nodes of `dying`, in graph order, read: at each node the fewest that
 * will do, which are those nearest to the end of the branch. Undefined if there are none.
 */
function zeroing(
  graph: Graph,
  value: string,
  dying: readonly Node[],
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
