import * as ort from 'onnxruntime-node'
import {
  arrayOf,
  type DType,
  elementCount,
  type Graph,
  type Tensor,
  tensor,
  type Value,
} from '../graph/index.js'
import { openSession } from '../runtime/index.js'

/** What one run showed: the shape of every value, and small integers that sizes were computed with. */
export interface Sizes {
  readonly dims: ReadonlyMap<string, readonly number[]>
  readonly integers: ReadonlyMap<string, Tensor>
}

/** Runs the network once on zeros, every intermediate exposed. All input dimensions must be numbers. */
export async function sizesOf(graph: Graph): Promise<Sizes> {
  const names = new Set(graph.nodes.flatMap((n) => n.outputs.filter((o) => o !== '')))
  const known = new Map(graph.outputs.map((o) => [o.name, o]))
  const outputs = [...names].map((name): Value => known.get(name) ?? { name, dtype: 'float32', dims: null })
  const session = await openSession(graph.with({ outputs: outputs.map(untyped) }), { optimize: false })
  const results = await session.run(zeroFeeds(graph))
  const dims = new Map<string, readonly number[]>()
  const integers = new Map<string, Tensor>()
  for (const [name, t] of graph.initializers) dims.set(name, t.dims)
  for (const input of graph.inputs) dims.set(input.name, (input.dims ?? []) as number[])
  for (const [name, result] of Object.entries(results)) {
    dims.set(name, result.dims)
    if (result.type === 'int64' && result.size <= 64)
      integers.set(name, tensor('int64', result.dims, BigInt64Array.from(result.data as BigInt64Array)))
    result.dispose()
  }
  await session.release()
  return { dims, integers }
}

/** The runtime infers an exposed value's type; a wrong one would be refused. */
const untyped = (v: Value): Value => ({ ...v, dtype: 'other', dims: null, origin: undefined })

export function zeroFeeds(graph: Graph): Record<string, ort.Tensor> {
  return Object.fromEntries(
    graph.inputs.map(({ name, dtype, dims }) => {
      const shape = (dims ?? []) as number[]
      const Data = arrayOf(dtype as DType)
      return [name, new ort.Tensor(dtype as 'float32', new Data(elementCount(shape)) as Float32Array, shape)]
    }),
  )
}
