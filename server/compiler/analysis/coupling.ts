import type { Graph, Node, Tensor } from '../graph/index.js'
import { cutEdges, elementCount } from '../graph/index.js'
import type { Axis, Kept, Quantised } from '../ops/index.js'
import type { Atoms, Reason } from './atoms.js'
import { type Block, blocksOf, edgesOf } from './blocks.js'
import { type Edit, flow } from './flow.js'
import { constants, type Shapes } from './shapes.js'

/** Indices of one dimension of one constant. */
export interface Slice {
  readonly tensor: string
  readonly axis: number
  readonly indices: readonly number[]
}

/** The smallest thing that pruning can remove: all these slices go together. Zeroing them is removing it. */
export interface Unit {
  readonly id: number
  readonly slices: readonly Slice[]
}

/** Units that touch the same dimensions in the same measure, and so may be ranked against each other. */
export interface Group {
  readonly id: number
  /** For people: the node whose channels these are. */
  readonly label: string
  readonly units: readonly Unit[]
  /** Constants that a unit of the group slices, in graph order. */
  readonly tensors: readonly string[]
  /** The atom vectors of the dimensions that a unit shrinks when it goes alone, each with by how many indices. */
  readonly spans: ReadonlyMap<Int32Array, number>
}

/** A constant that pruning leaves as it is, with the operator that asks for it. */
export interface Whole {
  readonly tensor: string
  readonly operator: string
  readonly node: string
  readonly reason: string
}

/** What can be removed from a graph, and what removing it changes. */
export interface Coupling {
  /** The graph in which every constant has one consumer. */
  readonly graph: Graph
  readonly shapes: Shapes
  readonly groups: readonly Group[]
  /** Residual branches: units, too, that go as a whole. They are in no group. */
  readonly blocks: readonly Block[]
  readonly whole: readonly Whole[]
  /** Axes of every value and constant. */
  readonly axes: ReadonlyMap<string, readonly Axis[]>
  readonly edits: ReadonlyMap<Node, readonly Edit[]>
  readonly elements: ReadonlyMap<string, ReadonlyMap<number, Axis>>
  /** Constants that are sliced but, in the oracle, not zeroed: divisors. */
  readonly neverZero: ReadonlySet<string>
  /** What the elements of quantised constants mean. */
  readonly quantised: ReadonlyMap<string, Quantised>
  /** What stays of each axis once these units are gone. */
  kept(removed: Iterable<Unit>): Kept
  /** Dimensions of every value and constant once these units are gone; also of what goes with blocks among them. */
  dims(removed: Iterable<Unit>): Map<string, number[]>
  /** The graph without the blocks among these units, nothing sliced: what `dims` counts for. */
  without(removed: Iterable<Unit>): Graph
}

/** Finds the units of a graph whose constants have one consumer each (see `separateConstants`). */
export function couple(graph: Graph, shapes: Shapes): Coupling {
  const { atoms, values, edits, elements, neverZero, quantised } = flow(graph, shapes)
  const axes = new Map([...values].map(([name, v]) => [name, v.axes]))
  const used = [...constants(graph)].filter(([name]) => graph.consumers(name).length > 0)
  const usedNames = new Set(used.map(([name]) => name))
  const dimensions = new Set<Int32Array>()
  for (const [name, list] of axes) {
    const constant = graph.constant(name) !== undefined
    if (!constant || usedNames.has(name))
      for (const a of list) if (a.atoms.length > 0) dimensions.add(a.atoms)
  }
  atoms.close([...dimensions])
  const units = unitsOf(used, axes, atoms)
  const groups = groupsOf(graph, units, [...dimensions], atoms)
  const kept = (removed: Iterable<Unit>) => new KeptIndices(atoms, removed)
  return {
    graph,
    shapes,
    groups,
    blocks: blocksOf(graph, shapes),
    whole: wholeOf(graph, used, axes, atoms),
    axes,
    edits,
    elements,
    neverZero,
    quantised,
    kept,
    dims(removed) {
      const k = kept(removed)
      return new Map([...axes].map(([name, list]) => [name, list.map((a) => k.count(a))]))
    },
    without: (removed) => cutEdges(graph, edgesOf(removed)),
  }
}

class KeptIndices implements Kept {
  readonly #gone: Set<number>
  readonly #known = new Map<Int32Array, number[]>()
  constructor(
    readonly atoms: Atoms,
    removed: Iterable<Unit>,
  ) {
    this.#gone = new Set([...removed].map((u) => u.id))
  }

  indices({ atoms }: Axis): number[] {
    const known = this.#known.get(atoms)
    if (known) return known
    const stays: number[] = []
    atoms.forEach((atom, i) => {
      if (!this.atoms.primitives(atom).some((p) => this.#gone.has(p))) stays.push(i)
    })
    this.#known.set(atoms, stays)
    return stays
  }

  count = (axis: Axis): number => this.indices(axis).length
}

/** A unit's id is its atom. */
function unitsOf(
  used: readonly (readonly [string, Tensor])[],
  axes: ReadonlyMap<string, readonly Axis[]>,
  atoms: Atoms,
): Unit[] {
  const slices = new Map<number, Slice[]>()
  for (const [tensor] of used) {
    axes.get(tensor)?.forEach(({ atoms: along }, axis) => {
      const indices = new Map<number, number[]>()
      along.forEach((atom, i) => {
        for (const p of atoms.primitives(atom)) {
          const list = indices.get(p)
          if (list) list.push(i)
          else indices.set(p, [i])
        }
      })
      for (const [p, list] of indices) {
        const slice = { tensor, axis, indices: list }
        const known = slices.get(p)
        if (known) known.push(slice)
        else slices.set(p, [slice])
      }
    })
  }
  return [...slices].map(([id, list]) => ({ id, slices: list }))
}

function groupsOf(
  graph: Graph,
  units: readonly Unit[],
  dimensions: readonly Int32Array[],
  atoms: Atoms,
): Group[] {
  const signatures = new Map<number, [dimension: number, indices: number][]>(units.map((u) => [u.id, []]))
  dimensions.forEach((along, d) => {
    const counts = new Map<number, number>()
    for (const atom of along) for (const p of atoms.primitives(atom)) counts.set(p, (counts.get(p) ?? 0) + 1)
    for (const [p, n] of counts) signatures.get(p)?.push([d, n])
  })
  const alike = new Map<string, Unit[]>()
  for (const u of units) {
    const key = signatures.get(u.id)?.join(' ') ?? ''
    const list = alike.get(key)
    if (list) list.push(u)
    else alike.set(key, [u])
  }
  const labels = new Map<string, number>()
  return [...alike.values()].map((members, id) => {
    const tensors = [...new Set(members[0].slices.map((s) => s.tensor))]
    const base = graph.consumers(tensors[0])[0]?.name ?? tensors[0]
    const n = (labels.get(base) ?? 0) + 1
    labels.set(base, n)
    const spans = new Map((signatures.get(members[0].id) ?? []).map(([d, count]) => [dimensions[d], count]))
    return { id, label: n === 1 ? base : `${base} (${n})`, units: members, tensors, spans }
  })
}

/** Constants of more than one element of which no index can go, with the reason of their first real dimension. */
function wholeOf(
  graph: Graph,
  used: readonly (readonly [string, Tensor])[],
  axes: ReadonlyMap<string, readonly Axis[]>,
  atoms: Atoms,
): Whole[] {
  return used.flatMap(([tensor, t]): Whole[] => {
    if (elementCount(t.dims) <= 1 || t.dtype === 'int64' || t.dtype === 'int32') return []
    const own = (axes.get(tensor) ?? []).filter((a) => a.atoms.length > 1)
    if (own.some((a) => a.atoms.some((atom) => atoms.reason(atom) === undefined))) return []
    const reasons = own.map((a) => atoms.reason(a.atoms[0])).filter((r): r is Reason => r !== undefined)
    const first = reasons.find((r) => r.op !== '') ?? reasons[0]
    const consumer = graph.consumers(tensor)[0]
    const texts = [
      ...new Set(
        reasons.map((r) =>
          r.node && r.node !== consumer?.name ? `${r.text} (${r.op} '${r.node}')` : r.text,
        ),
      ),
    ]
    return [
      {
        tensor,
        operator: first?.op || consumer?.op || '',
        node: consumer?.name ?? '',
        reason: texts.join('; '),
      },
    ]
  })
}
