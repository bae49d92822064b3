import { BatchReader } from '../data/index.js'
import { elementCount, type Graph } from '../graph/index.js'
import { Builder } from '../ops/index.js'
import { openSession, toRuntime } from '../runtime/index.js'
import type { Samples } from './options.js'
import { outputsOf } from './outputs.js'
import { batchOf, prepare } from './prepare.js'
import { SecondDerivatives } from './second-derivatives.js'
import { sizesOf } from './shapes.js'

export interface Curvature {
  readonly graph: Graph
  /** Output that holds the second derivatives, by weight. */
  readonly of: ReadonlyMap<string, string>
}

/**
 * The diagonal of the Hessian of the mean cross-entropy, carried back from the logits as LeCun, Denker and Solla 1990
 * ("Optimal Brain Damage", section 2.3) derive it: ∂²E/∂x_i² = Σ_l (∂y_l/∂x_i)² ∂²E/∂y_l², the terms between different
 * values left out, and those in f″ with them (Levenberg–Marquardt), so that nothing becomes negative. At the logits it is
 * p · (1 − p). Each operator goes back by its own gradient rule, through squares.
 * @param data what batches are made of; BatchNormalization uses the file's statistics
 * @throws GRADIENT_UNKNOWN where the way back leads through an operator of which this is not known; and as `prepare` does
 */
export async function curvature(
  graph: Graph,
  batch: number,
  data: Samples,
  wanted: ReadonlySet<string>,
): Promise<Curvature> {
  const prepared = prepare(graph, batchOf(graph, batch, data))
  const sizes = await sizesOf(prepared)
  const outputs = outputsOf(graph, sizes)
  const { logits, dims } = outputs.get(data.answer ?? graph.outputs[0].name)!
  const g = new Builder('curvature/')
  const p = g.op(
    'Softmax',
    [dims.length === 2 ? logits : g.reshape(logits, [batch, elementCount(dims) / batch])],
    { axis: 1 },
  )
  const seed = g.scale(g.mul(p, g.sub(g.scalar(1), p)), 1 / batch)
  const walk = new SecondDerivatives(prepared, sizes, g, wanted)
  walk.give(logits, dims.length === 2 ? seed : g.reshape(seed, dims))
  const of = walk.back()
  return {
    graph: prepared.with({
      nodes: [...walk.forward, ...g.nodes],
      initializers: new Map([...prepared.initializers, ...g.constants]),
      outputs: [...of.values()].map((name) => ({ name, dtype: 'float32', dims: null })),
      values: new Map(),
    }),
    of,
  }
}

/**
 * Second derivatives of the mean cross-entropy for the wanted weights, averaged over batches from the start of the data.
 * Blocks the event loop a batch at a time.
 */
export async function curvatures(
  graph: Graph,
  data: Samples,
  wanted: ReadonlySet<string>,
  { samples, batch: most = 32 }: { samples: number; batch?: number },
): Promise<ReadonlyMap<string, Float64Array>> {
  const batch = Math.min(most, data.count)
  const found = await curvature(graph, batch, data, wanted)
  const reader = new BatchReader(data, batch, graph.inputs[0].name)
  const feeds = Object.fromEntries([...reader.fed].map(([name, fed]) => [name, toRuntime(fed)]))
  const batches = Math.max(1, Math.floor(Math.min(samples, data.count) / batch))
  const means = new Map<string, Float64Array>()
  const session = await openSession(found.graph)
  try {
    for (let b = 0; b < batches; b++) {
      await reader.read(Array.from({ length: batch }, (_, i) => b * batch + i))
      const results = await session.run(feeds)
      for (const [weight, output] of found.of) {
        const values = results[output].data as Float32Array
        const mean = means.get(weight) ?? new Float64Array(values.length)
        for (let i = 0; i < values.length; i++) mean[i] += values[i] / batches
        means.set(weight, mean)
      }
      for (const result of Object.values(results)) result.dispose()
    }
  } finally {
    await session.release()
  }
  return means
}
