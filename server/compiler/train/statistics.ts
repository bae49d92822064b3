import { BatchReader } from '../data/index.js'
import { floats, type Graph, type Tensor } from '../graph/index.js'
import { openSession, toRuntime } from '../runtime/index.js'
import { withBatchStatistics } from './batch-norm.js'
import type { Samples } from './options.js'
import { withConstants } from './parameters.js'
import { batchOf, prepare } from './prepare.js'

/**
 * Sets the mean and variance of every BatchNormalization anew from the data (their labels are not needed), as surgery
 * and merged weights ask for: each layer sees the layers before it normalised by the batch, and the statistics of all
 * batches are pooled. The samples used are the first `samples` of the data. Blocks the event loop a batch at a time.
 * @returns the same graph if it has no BatchNormalization
 * @throws MODEL_UNSUPPORTED, DATA_SHAPE_MISMATCH
 */
export async function refreshStatistics(
  graph: Graph,
  data: Samples,
  { samples = 2048, batch: wanted = 64 }: { samples?: number; batch?: number } = {},
): Promise<Graph> {
  const batch = Math.min(wanted, data.count)
  const { graph: counting, norms } = withBatchStatistics(prepare(graph, batchOf(graph, batch, data)))
  if (norms.length === 0) return graph
  const outputs = norms.flatMap((n) => [n.batchMean, n.batchVariance])
  const session = await openSession(
    counting.with({ outputs: outputs.map((name) => ({ name, dtype: 'float32', dims: null })) }),
  )
  const sums = norms.map(({ channels }) => ({
    mean: new Float64Array(channels),
    square: new Float64Array(channels),
    variance: new Float64Array(channels),
  }))
  const batches = Math.max(1, Math.floor(Math.min(samples, data.count) / batch))
  const reader = new BatchReader(data, batch, graph.inputs[0].name)
  const feeds = Object.fromEntries([...reader.fed].map(([name, fed]) => [name, toRuntime(fed)]))
  try {
    for (let b = 0; b < batches; b++) {
      await reader.read(Array.from({ length: batch }, (_, i) => b * batch + i))
      const results = await session.run(feeds)
      for (const [k, { batchMean, batchVariance }] of norms.entries()) {
        const [mean, variance] = [batchMean, batchVariance].map((n) => results[n].data as Float32Array)
        const sum = sums[k]
        for (let c = 0; c < mean.length; c++) {
          sum.mean[c] += mean[c] / batches
          sum.square[c] += mean[c] ** 2 / batches
          sum.variance[c] += variance[c] / batches
        }
      }
      for (const result of Object.values(results)) result.dispose()
    }
  } finally {
    await session.release()
  }
  const changed = new Map<string, Tensor>()
  for (const [k, norm] of norms.entries()) {
    const { mean, square, variance } = sums[k]
    changed.set(norm.mean, floats([norm.channels], mean))
    // Law of total variance: the mean of the variances and the variance of the means.
    changed.set(
      norm.variance,
      floats(
        [norm.channels],
        variance.map((v, c) => v + Math.max(0, square[c] - mean[c] ** 2)),
      ),
    )
  }
  return withConstants(graph, changed)
}
