import { type Graph, type Node, reads, type Tensor, type Value } from '../graph/index.js'
import { openSession, run } from '../runtime/index.js'

/** A part of a graph, ready to run. */
export interface Part {
  /** What it must be fed. */
  readonly inputs: readonly string[]
  /** The values asked for, and what was fed. */
  run(feeds: Readonly<Record<string, Tensor>>): Promise<Record<string, Tensor>>
  release(): Promise<void>
}

/**
 * The part of a graph that some of its values need.
 * @param known values of the graph from which it is to compute the others, by a batch of each
 */
export async function openPart(
  graph: Graph,
  values: readonly string[],
  known: ReadonlyMap<string, Tensor> = new Map(),
): Promise<Part> {
  const given = new Map<string, Value>(graph.inputs.map((i) => [i.name, i]))
  for (const [name, { dtype, dims }] of known) given.set(name, { name, dtype, dims })
  const wanted = [...new Set(values)].filter((v) => !given.has(v))
  const { nodes, read } = backFrom(graph, wanted, given)
  const made = new Set(nodes.flatMap((n) => n.outputs))
  const inputs = [...given.values()].filter(({ name }) => read.has(name) && !made.has(name))
  const part = graph.with({
    nodes,
    initializers: new Map([...graph.initializers].filter(([name]) => read.has(name))),
    inputs,
    outputs: wanted.map((name) => ({ name, dtype: 'float32', dims: null })),
    values: new Map(),
  })
  const session = wanted.length > 0 ? await openSession(part) : undefined
  return {
    inputs: inputs.map((i) => i.name),
    async run(feeds) {
      if (!session) return { ...feeds }
      const read = Object.fromEntries(inputs.map(({ name }) => [name, feeds[name]]))
      return { ...feeds, ...(await run(session, read, wanted)) }
    },
    release: async () => session?.release(),
  }
}

/** The nodes that some values need where others are given, in order, and what those nodes read. */
export function backFrom(
  graph: Graph,
  values: Iterable<string>,
  given: { has(value: string): boolean },
): { nodes: Node[]; read: Set<string> } {
  const needed = new Set(values)
  const read = new Set<string>()
  const nodes = graph.nodes
    .toReversed()
    .filter((n) => {
      if (!n.outputs.some((o) => needed.has(o))) return false
      for (const name of reads(n)) {
        read.add(name)
        if (!given.has(name)) needed.add(name)
      }
      return true
    })
    .reverse()
  return { nodes, read }
}
