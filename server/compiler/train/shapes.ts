import * as ort from 'onnxruntime-node'
import {
  arrayOf,
  type DType,
  elementCount,
  type Graph,
  type NumericArray,
  reads,
  type Tensor,
  tensor,
  type Value,
} from '../graph/index.js'
import { openSession } from '../runtime/index.js'

/** What the runtime says of every value: its shape and element type, and small values that sizes were computed with. */
export interface Sizes {
  readonly dims: ReadonlyMap<string, readonly number[]>
  readonly types: ReadonlyMap<string, DType>
  /** Small values of int64 or float32 that are the same whatever the inputs hold. */
  readonly constants: ReadonlyMap<string, Tensor>
}

/** Values of more elements are not kept. */
const SMALL = 64

/**
 * Shapes as the runtime infers them, and where it cannot, or where values are small enough to be kept, as one run on zeros
 * shows them: no more is held at once than in any run. All input dimensions must be numbers.
 */
export async function sizesOf(graph: Graph): Promise<Sizes> {
  const dims = new Map<string, readonly number[]>()
  const types = new Map<string, DType>()
  const constants = new Map<string, Tensor>()
  for (const [name, t] of graph.initializers) {
    dims.set(name, t.dims)
    types.set(name, t.dtype)
  }
  for (const input of graph.inputs) {
    dims.set(input.name, (input.dims ?? []) as number[])
    types.set(input.name, input.dtype)
  }
  const inferred = await inferredFor(graph)
  for (const [name, { dtype, shape }] of inferred) {
    dims.set(name, shape)
    types.set(name, dtype)
  }
  const varying = dependingOnData(graph)
  const shown = [...namesIn(graph)].filter((name) => {
    const known = inferred.get(name)
    if (!known) return true
    const isKept = known.dtype === 'int64' || known.dtype === 'float32'
    return isKept && elementCount(known.shape) <= SMALL && !varying.has(name)
  })
  if (shown.length === 0) return { dims, types, constants }
  const session = await openSession(exposing(graph, shown), { optimize: false })
  try {
    const results = await session.run(zeroFeeds(graph))
    for (const [name, result] of Object.entries(results)) {
      dims.set(name, result.dims)
      types.set(name, result.type as DType)
      const isKept = result.type === 'int64' || result.type === 'float32'
      if (isKept && result.size <= SMALL && !varying.has(name))
        constants.set(name, tensor(result.type as DType, result.dims, (result.data as NumericArray).slice()))
      result.dispose()
    }
  } finally {
    await session.release()
  }
  return { dims, types, constants }
}

/** Shapes and types of the values whose shapes the runtime infers without running. */
export async function inferredFor(
  graph: Graph,
): Promise<ReadonlyMap<string, { dtype: DType; shape: readonly number[] }>> {
  const session = await openSession(exposing(graph, [...namesIn(graph)]), { optimize: false })
  const found = new Map<string, { dtype: DType; shape: readonly number[] }>()
  for (const value of session.outputMetadata) {
    // Where it cannot tell the rank either, the shape is given as that of a scalar.
    if (!value.isTensor || value.shape.length === 0) continue
    if (!value.shape.every((d) => typeof d === 'number' && d >= 0)) continue
    found.set(value.name, { dtype: value.type as DType, shape: value.shape as number[] })
  }
  await session.release()
  return found
}

/** Shapes of everything whose shape is given or inferred. All input dimensions must be numbers. */
export async function shapesOf(graph: Graph): Promise<ReadonlyMap<string, readonly number[]>> {
  const dims = new Map<string, readonly number[]>()
  for (const { name, dims: shape } of graph.inputs) dims.set(name, (shape ?? []) as number[])
  for (const [name, t] of graph.initializers) dims.set(name, t.dims)
  for (const [name, { shape }] of await inferredFor(graph)) dims.set(name, shape)
  return dims
}

const namesIn = (graph: Graph) => new Set(graph.nodes.flatMap((n) => n.outputs.filter((o) => o !== '')))

function exposing(graph: Graph, names: readonly string[]): Graph {
  const outputs = names.map((name) => graph.values.get(name) ?? untyped(name))
  return graph.with({ outputs, values: new Map() })
}

/** Values that depend on what the inputs hold, and not only on their sizes. */
function dependingOnData(graph: Graph): ReadonlySet<string> {
  const found = new Set(graph.inputs.map((i) => i.name))
  for (const n of graph.nodes) {
    if (n.op === 'Shape' || n.op === 'Size') continue
    if (reads(n).some((name) => found.has(name))) for (const o of n.outputs) found.add(o)
  }
  return found
}

/** The runtime infers an exposed value's type; a wrong one would be refused. */
const untyped = (name: string): Value => ({ name, dtype: 'other', dims: null })

export function zeroFeeds(graph: Graph): Record<string, ort.Tensor> {
  return Object.fromEntries(
    graph.inputs.map(({ name, dtype, dims }) => {
      const shape = (dims ?? []) as number[]
      const Data = arrayOf(dtype as DType)
      return [name, new ort.Tensor(dtype as 'float32', new Data(elementCount(shape)) as Float32Array, shape)]
    }),
  )
}
