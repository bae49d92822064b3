import type { Shapes } from '../analysis/index.js'
import {
  elementCount,
  type Graph,
  intsAttribute,
  type Node,
  reads,
  type Tensor,
  type Value,
} from '../graph/index.js'
import { opFor } from '../ops/index.js'

/** A network as a run showed it: what a drawing is made of. */
export interface Seen {
  readonly graph: Graph
  readonly shapes: Pick<Shapes, 'dims' | 'integers' | 'batch'>
}

/**
 * One thing to draw. A `layer` has weights or multiply–accumulates; a `join` brings branches together; what only maps,
 * moves or pools is folded into the one it follows.
 */
export interface Layer {
  readonly kind: 'input' | 'layer' | 'join' | 'output'
  readonly name: string
  readonly op: string
  /** Kernel and stride, or dimensions of an input or output. */
  readonly detail: string
  /** What the node itself gives; empty for an output. */
  readonly made: readonly string[]
  /** All values of the layer: `made`, and those of what is folded into it. */
  readonly values: string[]
  readonly folded: string[]
  /** Channels or neurons that its weights make; null for what has no weights. */
  readonly width: number | null
  /** For one sample. */
  macs: number
  params: number
  weightBytes: number
  /** Dimensions of its output; `n` for a batch of any size. */
  readonly shape: string
  /** How many layers it stands for, where alike ones are drawn once. */
  readonly times?: number
}

export interface Sketch {
  /** In execution order. */
  readonly layers: readonly Layer[]
  /** Positions of layers; each pair once. */
  readonly edges: readonly (readonly [from: number, to: number])[]
}

const floating = new Set(['float32', 'float64', 'float16', 'bfloat16'])

/** Reduces a network to its layers, in execution order, with the branches between them. */
export function sketchOf({ graph, shapes }: Seen): Sketch {
  const layers: Layer[] = []
  const edges = new Map<string, readonly [number, number]>()
  /** The layer that a value belongs to; values that depend on no input, and shapes, belong to none. */
  const home = new Map<string, number>()
  const constants = constantsBehind(graph)
  const dims = (name: string | undefined) => (name ? shapes.dims.get(name) : undefined) ?? []
  const add = (layer: Layer, from: Iterable<number>): number => {
    const at = layers.push(layer) - 1
    for (const f of from) edges.set(`${f} ${at}`, [f, at])
    for (const v of layer.values) home.set(v, at)
    return at
  }
  for (const v of graph.inputs)
    add({ ...port('input', v, dims(v.name)), values: [v.name], made: [v.name] }, [])
  for (const n of graph.nodes) {
    const own = reads(n)
    const sources = new Set(own.flatMap((i) => home.get(i) ?? []))
    const weights = own.flatMap((i) => constants.get(i) ?? [])
    const cost = costOf(n, weights, dims, shapes.batch)
    const outputs = n.outputs.filter((o) => o !== '' && !shapes.integers.has(o))
    if (sources.size === 0 && own.every((i) => constants.has(i))) continue
    if (outputs.length === 0) continue
    const matrices = weights.some(({ dims }) => dims.length > 1)
    const base = {
      name: n.name,
      op: n.op,
      made: outputs,
      values: [...outputs],
      folded: [],
      shape: shapeOf(dims(outputs[0]), shapes.batch),
    }
    if (cost.macs > 0 || (matrices && readsOnlyIndices(graph, n, constants))) {
      add(
        {
          ...base,
          ...cost,
          kind: 'layer',
          detail: detailOf(n, weights),
          width: widthOf(n, weights, dims(outputs[0])),
        },
        sources,
      )
    } else if (sources.size > 1) {
      add({ ...base, ...cost, kind: 'join', detail: '', width: null }, sources)
    } else {
      const [into] = sources
      if (into === undefined) continue
      const layer = layers[into]
      layer.folded.push(n.op)
      layer.values.push(...outputs)
      layer.params += cost.params
      layer.weightBytes += cost.weightBytes
      for (const o of outputs) home.set(o, into)
    }
  }
  for (const v of graph.outputs) {
    const from = home.get(v.name)
    if (from !== undefined) add({ ...port('output', v, dims(v.name)), values: [], made: [] }, [from])
  }
  return { layers, edges: [...edges.values()] }
}

const shapeOf = (dims: readonly number[], batch: number): string =>
  dims.map((d, i) => (i === 0 && batch > 1 && d === batch ? 'n' : d)).join(', ')

/** An input or output, with its dimensions as the file declares them or, where it does not, as they were in the run. */
const port = (kind: 'input' | 'output', { name, dims: declared }: Value, run: readonly number[]) => ({
  kind,
  name,
  op: '',
  detail: (declared ?? run).map((d) => d ?? '?').join(' × '),
  folded: [],
  width: null,
  macs: 0,
  params: 0,
  weightBytes: 0,
  shape: run.join(', '),
})

/** The constants that each value is computed of, for values that depend on nothing else. */
function constantsBehind(graph: Graph): Map<string, readonly Tensor[]> {
  const behind = new Map<string, readonly Tensor[]>([...graph.initializers].map(([name, t]) => [name, [t]]))
  for (const n of graph.nodes) {
    const own = n.inputs.filter((i) => i !== '')
    if (!own.every((i) => behind.has(i))) continue
    const constant = graph.constant(n.outputs[0])
    const tensors = constant ? [constant] : own.flatMap((i) => behind.get(i) ?? [])
    for (const o of n.outputs) behind.set(o, tensors)
  }
  return behind
}

function costOf(
  node: Node,
  weights: readonly Tensor[],
  dims: (name: string | undefined) => readonly number[],
  batch: number,
) {
  const macs = opFor(node)?.macs({
    node,
    inputDims: (i) => dims(node.inputs[i]),
    outputDims: (i = 0) => dims(node.outputs[i]),
  })
  const count = (t: Tensor) => elementCount(t.dims)
  return {
    macs: (macs ?? 0) / batch,
    params: weights.filter((t) => floating.has(t.dtype)).reduce((sum, t) => sum + count(t), 0),
    weightBytes: weights.reduce((sum, t) => sum + count(t) * t.data.BYTES_PER_ELEMENT, 0),
  }
}

/** A table looked up by whole numbers: it has weights and multiplies nothing. */
function readsOnlyIndices(graph: Graph, n: Node, constants: ReadonlyMap<string, unknown>): boolean {
  const fed = n.inputs.filter((i) => i !== '' && !constants.has(i))
  return (
    n.op === 'Gather' && fed.length === 1 && n.inputs[0] !== fed[0] && graph.constant(fed[0]) === undefined
  )
}

const isConvolution = (op: string) => op.includes('Conv')

function widthOf({ op }: Node, weights: readonly Tensor[], dims: readonly number[]): number | null {
  if (weights.length === 0) return null
  return (isConvolution(op) ? dims[1] : dims[dims.length - 1]) ?? null
}

function detailOf(n: Node, weights: readonly Tensor[]): string {
  if (!isConvolution(n.op)) return ''
  const kernel =
    intsAttribute(n, 'kernel_shape') ?? weights.find((t) => t.dims.length > 2)?.dims.slice(2) ?? []
  const stride = Math.max(1, ...(intsAttribute(n, 'strides') ?? []))
  return `${kernel.join('×')}${stride > 1 ? ` /${stride}` : ''}`
}

/** The scope that the names of all layers begin with, up to and with its last separator. */
export function commonScope({ layers }: Sketch): string {
  const names = layers.filter((l) => l.kind === 'layer').map((l) => l.name)
  if (names.length < 2) return ''
  const [first] = names
  let shared = first.length
  for (const name of names) while (!name.startsWith(first.slice(0, shared))) shared--
  const scope = first.slice(0, shared)
  return scope.slice(0, Math.max(scope.lastIndexOf('/'), scope.lastIndexOf('.')) + 1)
}
