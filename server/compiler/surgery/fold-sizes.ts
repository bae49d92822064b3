import { knownSizes, numberOf, type Shapes } from '../analysis/index.js'
import { type Graph, int64s, intAttribute, type Node, node, tensorAttribute } from '../graph/index.js'
import { sizedByData } from './sized-by-data.js'

const INT64 = 7

/** Operators of arithmetic on sizes whose result is of the type of their first input. */
const alike = new Set([
  ...['Abs', 'Add', 'Concat', 'Div', 'Expand', 'Gather', 'Identity', 'Max', 'Min', 'Mod', 'Mul', 'Neg'],
  ...['Range', 'ReduceProd', 'ReduceSum', 'Reshape', 'Slice', 'Squeeze', 'Sub', 'Tile', 'Unsqueeze'],
])

/**
 * Sizes that are the same in every run, whatever dynamic dimensions the inputs have, become constants, and so do small
 * whole numbers computed from them. Pruning can then rewrite those that count indices, and those that are used as numbers
 * (the root of a head's width, say) stay what they are in the network whose weights are zeroed. The same object if there
 * is nothing to fold.
 */
export function foldSizes(graph: Graph, shapes: Shapes): Graph {
  const isDynamic = graph.inputs.some((v) => !v.dims || v.dims.some((d) => typeof d !== 'number'))
  const varying = sizedByData(graph)
  const sizes = isDynamic ? knownSizes(graph, shapes, varying) : undefined
  const isCounted = (x: string) =>
    !varying.has(x) && (!sizes || sizes.dims.get(x)?.every((d) => numberOf(d) !== undefined) === true)
  const areKnown = (name: string) =>
    sizes?.elements.get(name)?.every((e) => numberOf(e) !== undefined) === true
  const settled = new Set<string>()
  const wide = new Set<string>()
  const folded = new Map<string, readonly number[]>()
  const isSettled = (name: string) => name === '' || settled.has(name) || graph.constant(name) !== undefined
  const isWide = (name: string) => wide.has(name) || graph.constant(name)?.dtype === 'int64'
  for (const n of graph.nodes) {
    const [name] = n.outputs
    const counts = n.op === 'Shape' || n.op === 'Size'
    if (n.op === 'Constant' || n.domain !== '') continue
    if (counts || givesInt64(n, isWide)) wide.add(name)
    const computed = n.inputs.length > 0 && n.inputs.every(isSettled)
    if (!(counts ? isCounted(n.inputs[0]) : computed) && !areKnown(name)) continue
    for (const o of n.outputs) settled.add(o)
    if (!wide.has(name)) continue
    const held = shapes.integers.get(name)
    if (held?.every(Number.isSafeInteger)) folded.set(name, held)
  }
  if (folded.size === 0) return graph
  const nodes = graph.nodes.map((n): Node => {
    const held = folded.get(n.outputs[0])
    if (!held) return n
    const dims = shapes.dims.get(n.outputs[0]) ?? [held.length]
    return node('Constant', [], [n.outputs[0]], { value: { ...int64s(held), dims } }, { name: n.name })
  })
  return withoutUnread(graph.with({ nodes }), new Set([...settled, ...(sizes?.elements.keys() ?? [])]))
}

function givesInt64(n: Node, isWide: (name: string) => boolean): boolean {
  if (n.op === 'Cast') return intAttribute(n, 'to', 0) === INT64
  if (n.op === 'ConstantOfShape') return tensorAttribute(n, 'value')?.dtype === 'int64'
  if (n.op === 'Where') return isWide(n.inputs[1])
  return alike.has(n.op) && isWide(n.inputs[0])
}

/** Drops what was computed from sizes and is read by nobody any more. */
function withoutUnread(graph: Graph, ofSizes: ReadonlySet<string>): Graph {
  const unread = (n: Node) => n.outputs.every((o) => ofSizes.has(o) && graph.uses(o) === 0)
  const nodes = graph.nodes.filter((n) => !unread(n))
  return nodes.length === graph.nodes.length ? graph : withoutUnread(graph.with({ nodes }), ofSizes)
}
