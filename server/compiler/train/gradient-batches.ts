import { EspalierError } from '@espalier/shared'
import * as ort from 'onnxruntime-node'
import { sampleSize } from '../data/index.js'
import { elementCount, type Graph } from '../graph/index.js'
import { openSession } from '../runtime/index.js'
import { sampleWriter, writeTargets } from './batches.js'
import { classification, TARGETS } from './loss.js'
import type { Samples } from './options.js'
import { batchOf } from './prepare.js'
import { trainingGraph } from './training-graph.js'

/**
 * Gradients of the mean cross-entropy for every trainable weight, by name, one batch after the other from the start
 * of the data; nothing is changed. The arrays are overwritten when the next batch is asked for. Blocks the event loop
 * a batch at a time.
 */
export async function* gradientBatches(
  graph: Graph,
  data: Samples,
  { samples, batch: wanted }: { samples: number; batch: number },
): AsyncGenerator<ReadonlyMap<string, Float32Array>> {
  const { labels } = data
  if (!labels) throw new EspalierError('DATA_UNLABELLED', 'gradients of the loss need labelled data')
  const batch = Math.min(wanted, data.count)
  const tg = await trainingGraph(graph, {
    shapes: batchOf(graph, batch, data.dims),
    batchNorm: 'frozen',
    loss: classification({ teacherShare: 0, temperature: 1 }),
  })
  const [{ dims }] = tg.outputs.values()
  const classes = elementCount(dims) / batch
  const size = sampleSize(data)
  const x = new Float32Array(batch * size)
  const targets = new Float32Array(batch * classes)
  const feeds: Record<string, ort.Tensor> = {
    [tg.inputs[0].name]: new ort.Tensor('float32', x, [batch, ...data.dims]),
    [TARGETS]: new ort.Tensor('float32', targets, [batch, classes]),
  }
  for (const name of tg.gradients.keys()) {
    const { dims, data } = graph.constant(name)!
    feeds[name] = new ort.Tensor('float32', data as Float32Array, dims)
  }
  const write = sampleWriter(data)
  const session = await openSession(tg.graph)
  try {
    const batches = Math.max(1, Math.floor(Math.min(samples, data.count) / batch))
    for (let b = 0; b < batches; b++) {
      const indices = Uint32Array.from({ length: batch }, (_, i) => b * batch + i)
      for (let i = 0; i < batch; i++) write(indices[i], x, i * size)
      writeTargets(targets, labels, indices, classes, 0)
      const results = await session.run(feeds, [...tg.gradients.values()])
      yield new Map([...tg.gradients].map(([name, output]) => [name, results[output].data as Float32Array]))
      for (const result of Object.values(results)) result.dispose()
    }
  } finally {
    await session.release()
  }
}
