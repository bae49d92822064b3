import { type Graph, type Node, node } from '../graph/index.js'
import { Builder, opFor } from '../ops/index.js'
import { asProducts } from './convolution-products.js'
import { type Sizes, sizesOf } from './shapes.js'

/**
 * The network in operators that have gradients: compound ones are written out (`ops/lowering`), and convolutions that
 * the runtime is slow at while it trains become matrix products. Names of weights and of what nodes gave stay.
 */
export async function lowered(
  graph: Graph,
  { sizes, block = 1 }: { sizes?: Sizes; block?: number } = {},
): Promise<Graph> {
  const known = sizes ?? (await sizesOf(graph))
  const next = lower(graph, known, new Builder('lowered/', block))
  if (next === graph) return graph
  // What was written out may hold compound operators again, one level deeper.
  return lower(next, await sizesOf(next), new Builder('lowered.again/', block))
}

function lower(graph: Graph, sizes: Sizes, g: Builder): Graph {
  const nodes = graph.nodes.flatMap((n) => {
    const before = g.nodes.length
    const place = {
      node: n,
      g,
      shape: (value: string) => sizes.dims.get(value) ?? [],
      dtype: (value: string) => sizes.types.get(value) ?? 'float32',
      constant: (value: string) => graph.constant(value) ?? sizes.constants.get(value),
    }
    const outputs = n.op === 'Conv' && n.domain === '' ? asProducts(place) : opFor(n)?.lowering?.(place)
    const made = g.nodes.slice(before)
    return outputs ? named(made, n, outputs) : [n]
  })
  if (g.nodes.length === 0) return graph
  return graph.with({ nodes, initializers: new Map([...graph.initializers, ...g.constants]) })
}

/** The nodes that were made, giving what the node gave under its names; the node itself if an output is not given. */
function named(made: readonly Node[], n: Node, outputs: readonly string[]): readonly Node[] {
  if (n.outputs.some((o, i) => o !== '' && !outputs[i])) return [n]
  const names = new Map<string, string>()
  const copies: Node[] = []
  for (const [i, output] of n.outputs.entries()) {
    if (output === '') continue
    const value = outputs[i]
    if (!names.has(value) && made.some((m) => m.outputs.includes(value))) names.set(value, output)
    else copies.push(node('Identity', [names.get(value) ?? value], [output]))
  }
  const renamed = made.map((m) => ({
    ...m,
    inputs: m.inputs.map((i) => names.get(i) ?? i),
    outputs: m.outputs.map((o) => names.get(o) ?? o),
  }))
  return [...renamed, ...copies]
}
