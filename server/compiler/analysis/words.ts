import { type Graph, intAttribute, type Node, shortened } from '../graph/index.js'
import { noMacs, opFor } from '../ops/index.js'
import type { Coupling, Group } from './coupling.js'
import type { Reach } from './reach.js'

/** What the units of a group are. */
export type GroupKind =
  | 'output channels'
  | 'shared channels'
  | 'groups'
  | 'channels in a group'
  | 'attention heads'
  | 'channels in a head'
  | 'hidden layer'
  | 'hidden units'
  | 'embedding rows'
  | 'indices'

export interface GroupWords {
  readonly kind: GroupKind
  /** For people, with the layers that the units belong to; long names lose their middle. */
  readonly text: string
  /** Names of the nodes whose weights make the units' indices, in graph order. */
  readonly layers: readonly string[]
}

type Said = Omit<GroupWords, 'layers'>

/** How the nodes that a unit passes use it. */
interface Uses {
  /** Layers whose weights make the index: their outputs have it, none of their inputs does. */
  readonly makers: Node[]
  /** Layers that sum over it: an input has it, no output does. */
  readonly readers: Node[]
  /** Everything between. */
  readonly passed: Node[]
}

const dense = new Set(['Gemm', 'MatMul', 'FusedMatMul', 'MatMulInteger', 'QLinearMatMul', 'QGemm'])
const recurrent = new Set(['LSTM', 'GRU', 'RNN'])

/**
 * Says what the units of each group are, from what operators do with the indices: who makes them, who sums over
 * them, where a product of two activations sees them. Names of nodes are only quoted, never interpreted.
 */
export function wordsOf({ graph, groups, axes }: Coupling, reach: readonly Reach[]): GroupWords[] {
  const fixed = fixedValues(graph)
  const rank = (name: string) => axes.get(name)?.length ?? 0
  const size = (name: string, axis: number) => axes.get(name)?.[axis]?.atoms.length ?? 0
  return groups.map((group, g) => {
    const uses = usesOf(graph, reach[g], fixed)
    const said =
      attention(group, reach[g], uses, fixed, rank) ??
      grouped(reach[g], uses, size) ??
      rows(reach[g], uses, fixed) ??
      layers(group, reach[g], uses, fixed)
    return { ...said, layers: uses.makers.map((m) => m.name) }
  })
}

/** Values that depend on no input of the network: constants, and what is computed of them alone. */
function fixedValues(graph: Graph): ReadonlySet<string> {
  const fixed = new Set(graph.initializers.keys())
  for (const n of graph.nodes)
    if (n.inputs.every((i) => i === '' || fixed.has(i))) for (const o of n.outputs) fixed.add(o)
  return fixed
}

function usesOf(graph: Graph, reach: Reach, fixed: ReadonlySet<string>): Uses {
  const makers: Node[] = []
  const readers: Node[] = []
  const passed: Node[] = []
  for (const n of graph.nodes) {
    if (n.outputs.every((o) => fixed.has(o))) continue
    const inputs = n.inputs.filter((i) => reach.has(i))
    const made = n.outputs.some((o) => reach.has(o))
    if (inputs.length === 0 && !made) continue
    const fed = inputs.some((i) => !fixed.has(i))
    // A layer inside a residual connection: its weights have the index on both sides.
    const square = inputs.some((i) => fixed.has(i) && (reach.get(i) ?? []).filter((c) => c > 0).length > 1)
    if (made && (!fed || square)) makers.push(n)
    if (fed && (!made || square)) readers.push(n)
    if (fed && made && !square) passed.push(n)
  }
  const layers = makers.filter(weighs)
  return { makers: layers.length > 0 ? layers : makers, readers, passed }
}

/** Whether a node is a layer for people: it multiplies, or looks a table up. */
const weighs = (n: Node): boolean => n.op === 'Gather' || (opFor(n)?.macs ?? noMacs) !== noMacs

/** Heads, or what is inside of each, where two activations are multiplied or an operator is attention by itself. */
function attention(
  { units }: Group,
  reach: Reach,
  { makers, readers, passed }: Uses,
  fixed: ReadonlySet<string>,
  rank: (name: string) => number,
): Said | undefined {
  const of = makers.length > 0 ? ` of ${listed(makers)}` : ''
  const roles = new Set<string>()
  for (const n of [...passed, ...readers]) {
    if (dense.has(n.op) && n.inputs.slice(0, 2).every((i) => !fixed.has(i))) {
      const [a, b] = n.inputs.slice(0, 2).map((i) => fromEnd(reach.get(i)))
      if (a < -2 || b < -2) return { kind: 'attention heads', text: `attention heads${of}` }
      if (a === -1 && b === -2) roles.add('queries').add('keys')
      else if (b === -1) roles.add('values')
    } else if (n.op.includes('Attention')) {
      const wide = n.inputs.find((i) => reach.has(i) && !fixed.has(i)) ?? ''
      const heads = rank(wide) === 4 ? fromEnd(reach.get(wide)) === -3 : adjacent(units[0])
      if (heads) return { kind: 'attention heads', text: `attention heads${of}` }
      roles.add('')
    }
  }
  if (roles.size === 0) return
  const seen = ['queries', 'keys', 'values'].filter((r) => roles.has(r))
  return {
    kind: 'channels in a head',
    text: `channels in each head${seen.length > 0 ? ` (${seen.join(', ')})` : ''}${of}`,
  }
}

/** Groups of a grouped convolution, or the channels within each. In a depthwise one, channels are just channels. */
function grouped(
  reach: Reach,
  { makers, readers, passed }: Uses,
  size: (name: string, axis: number) => number,
): Said | undefined {
  const taken = (value: string) => reach.get(value)?.[1] ?? 0
  for (const n of [...passed, ...readers, ...makers]) {
    const groups = intAttribute(n, 'group', 1)
    const each = size(n.inputs[0], 1) / groups
    if (groups === 1 || each === 1) continue
    if (passed.includes(n) && taken(n.inputs[0]) === each && taken(n.inputs[1]) === 0)
      return { kind: 'groups', text: `groups of ${quoted(n)}` }
    const side = readers.includes(n) ? 'input' : taken(n.outputs[0]) === groups ? 'output' : undefined
    if (side) return { kind: 'channels in a group', text: `${side} channels in each group of ${quoted(n)}` }
  }
}

/** Rows of a table that indices pick from. */
function rows(reach: Reach, { makers, readers }: Uses, fixed: ReadonlySet<string>): Said | undefined {
  const table = [...makers, ...readers].find(
    (n) =>
      n.op === 'Gather' &&
      fixed.has(n.inputs[0]) &&
      (reach.get(n.inputs[0])?.[intAttribute(n, 'axis', 0)] ?? 0) > 0,
  )
  return table && { kind: 'embedding rows', text: `embedding rows of ${quoted(table)}` }
}

/** Channels or neurons, by the layers that make and read them. */
function layers(
  { tensors, units }: Group,
  reach: Reach,
  { makers, readers, passed }: Uses,
  fixed: ReadonlySet<string>,
): Said {
  if (makers.length === 0) {
    const { axis } = units[0].slices[0]
    return { kind: 'indices', text: `indices of dimension ${axis} of '${tensors[0]}'` }
  }
  const [first] = makers
  const names = listed(makers)
  if (makers.length === 1 && recurrent.has(first.op))
    return { kind: 'hidden units', text: `hidden units of ${names}` }
  const together = makers.every((m) => dense.has(m.op) && m.inputs[0] === first.inputs[0])
  if (together && readers.length === 1 && dense.has(readers[0].op))
    return { kind: 'hidden layer', text: `hidden layer between ${names} and ${quoted(readers[0])}` }
  if (makers.length === 1)
    return {
      kind: 'output channels',
      text: `${dense.has(first.op) ? 'outputs' : 'output channels'} of ${names}`,
    }
  const by = joining(reach, passed, readers, makers, fixed)
  return {
    kind: 'shared channels',
    text: `channels that ${makers.length} layers share${by ? ` through ${quoted(by)}` : ''}: ${names}`,
  }
}

/** The first node in which the channels of different layers meet. */
function joining(
  reach: Reach,
  passed: readonly Node[],
  readers: readonly Node[],
  makers: readonly Node[],
  fixed: ReadonlySet<string>,
) {
  const origins = new Map<string, ReadonlySet<Node>>()
  for (const m of makers) for (const o of m.outputs) origins.set(o, new Set([m]))
  for (const n of [...passed, ...readers]) {
    const from = n.inputs
      .filter((i) => reach.has(i) && !fixed.has(i))
      .map((i) => origins.get(i) ?? new Set<Node>())
    const all = new Set(from.flatMap((set) => [...set]))
    if (from.some((set) => set.size < all.size)) return n
    for (const o of n.outputs) if (!origins.has(o)) origins.set(o, all)
  }
}

const quoted = ({ op, name }: Node): string => `${op} '${shortened(name, 24)}'`

function listed(nodes: readonly Node[]): string {
  if (nodes.length > 3) return `${nodes.slice(0, 2).map(quoted).join(', ')} and ${nodes.length - 2} more`
  const [last, ...others] = nodes.map(quoted).reverse()
  return others.length === 0 ? last : `${others.reverse().join(', ')} and ${last}`
}

/** The last dimension that shrinks, counted from the end: −1 is the last; 0 where none does. */
function fromEnd(shrinks: readonly number[] | undefined): number {
  const axis = shrinks?.findLastIndex((count) => count > 0) ?? -1
  return axis < 0 || !shrinks ? 0 : axis - shrinks.length
}

/** Whether a unit takes a run of neighbours, as a head does, and not one of each head. */
function adjacent({ slices }: Group['units'][number]): boolean {
  const { indices } = slices.find((s) => s.indices.length > 1) ?? slices[0]
  return indices.length > 1 && indices[1] === indices[0] + 1
}
