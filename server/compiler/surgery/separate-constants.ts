import { elementCount, type Graph, type Node, node, reads, type Tensor } from '../graph/index.js'

/** The name that a consumer's own copy of a shared constant gets. */
export const copyName = (constant: string, consumer: Node): string =>
  `${constant}@${consumer.outputs.find((o) => o !== '') ?? consumer.name}`

export interface Separated {
  readonly graph: Graph
  /** The shared constant behind each copy. */
  readonly originals: ReadonlyMap<string, string>
}

/**
 * Gives every node a copy of its own of each constant that it shares with others, so that strangers are not
 * coupled and one may be changed without the other. Single floats are left shared: nothing ever slices them.
 * The shared constant itself stays, for `rejoinConstants`, and for subgraphs and outputs that read it.
 */
export function separateConstants(graph: Graph): Separated {
  const originals = new Map<string, string>()
  const shared = (name: string) => {
    const t = graph.constant(name)
    return t !== undefined && graph.uses(name) > 1 && !isScalarWeight(t)
  }
  const nodes = graph.nodes.flatMap((n): Node[] => {
    const mine = [...new Set(n.inputs)].filter((i) => i !== '' && shared(i))
    if (mine.length === 0) return [n]
    const copies = mine.map((name) => {
      const copy = copyName(name, n)
      originals.set(copy, name)
      return node('Constant', [], [copy], { value: graph.constant(name) })
    })
    return [...copies, { ...n, inputs: n.inputs.map((i) => (mine.includes(i) ? copyName(i, n) : i)) }]
  })
  return originals.size === 0 ? { graph, originals } : { graph: graph.with({ nodes }), originals }
}

const isScalarWeight = (t: Tensor) => elementCount(t.dims) === 1 && t.dtype !== 'int64' && t.dtype !== 'int32'

/** Puts copies that are still all alike back together, and drops shared constants that nobody reads any more. */
export function rejoinConstants(graph: Graph, originals: Separated['originals']): Graph {
  if (originals.size === 0) return graph
  const copies = new Map<string, string[]>()
  for (const [copy, original] of originals) copies.set(original, [...(copies.get(original) ?? []), copy])
  const renamed = new Map<string, string>()
  const values = new Map<string, Tensor>()
  const read = new Set(graph.nodes.flatMap(reads))
  for (const [original, names] of copies) {
    const tensors = names.flatMap((name) => graph.constant(name) ?? [])
    const now = tensors[0]
    if (!now) continue
    const unread = !read.has(original) && !graph.isOutput(original)
    if (tensors.every((t) => equal(t, now)) && (unread || equal(now, graph.constant(original)))) {
      for (const name of names) renamed.set(name, original)
      values.set(original, now)
    }
  }
  const dropped = (name: string) =>
    renamed.has(name) || (copies.has(name) && !values.has(name) && !read.has(name) && !graph.isOutput(name))
  const nodes = graph.nodes.flatMap((n): Node[] => {
    if (n.op === 'Constant') {
      const [name] = n.outputs
      if (dropped(name)) return []
      const value = values.get(name)
      return value && value !== graph.constant(name) ? [constantNode(n, value)] : [n]
    }
    if (!n.inputs.some((i) => renamed.has(i))) return [n]
    return [{ ...n, inputs: n.inputs.map((i) => renamed.get(i) ?? i) }]
  })
  const initializers = new Map(
    [...graph.initializers]
      .filter(([name]) => !dropped(name))
      .map(([name, t]) => [name, values.get(name) ?? t]),
  )
  return graph.with({ nodes, initializers })
}

/** The Constant node with another value. */
export const constantNode = (n: Node, value: Tensor): Node => ({
  ...n,
  attributes: new Map([['value', { type: 'tensor', value }]]),
})

function equal(a: Tensor, b: Tensor | undefined): boolean {
  if (!b) return false
  if (a === b) return true
  return a.dtype === b.dtype && `${a.dims}` === `${b.dims}` && a.data.every((v, i) => v === b.data[i])
}
