import { EspalierError } from '@espalier/shared'
import type * as ort from 'onnxruntime-node'
import { isLabelled } from '../data/index.js'
import { elementCount, type Graph } from '../graph/index.js'
import { toRuntime } from '../runtime/index.js'
import { openStep } from './blocks.js'
import { Feeder } from './feeder.js'
import { goalOf } from './goal.js'
import type { Samples } from './options.js'
import { batchOf } from './prepare.js'
import { trainingGraph } from './training-graph.js'

/**
 * Gradients of the mean loss (by labels cross-entropy, by targets what `lossNameOf` says) for every trainable weight, by
 * name, one batch after the other from the start of the data; nothing is changed. The arrays are overwritten when the next
 * batch is asked for. Blocks the event loop a batch at a time.
 * @throws DATA_UNLABELLED
 */
export async function* gradientBatches(
  graph: Graph,
  data: Samples,
  { samples, batch: wanted }: { samples: number; batch: number },
): AsyncGenerator<ReadonlyMap<string, Float32Array>> {
  if (!isLabelled(data))
    throw new EspalierError('DATA_UNLABELLED', 'gradients of the loss need labelled data')
  const batch = Math.min(wanted, data.count)
  const { loss, answer } = goalOf(graph, data, {})
  const tg = await trainingGraph(graph, { shapes: batchOf(graph, batch, data), batchNorm: 'frozen', loss })
  const outputs = elementCount(tg.outputs.get(answer)?.dims ?? []) / batch
  const feeder = new Feeder(data, {}, { batch, outputs, input: graph.inputs[0].name, noise: [] })
  const feeds: Record<string, ort.Tensor> = Object.fromEntries(
    [...feeder.fed].map(([name, fed]) => [name, toRuntime(fed)]),
  )
  for (const name of tg.gradients.keys()) feeds[name] = toRuntime(graph.constant(name)!)
  const session = await openStep(tg.graph)
  try {
    const batches = Math.max(1, Math.floor(Math.min(samples, data.count) / batch))
    for (let b = 0; b < batches; b++) {
      await feeder.writeAt(Uint32Array.from({ length: batch }, (_, i) => b * batch + i))
      const results = await session.run(feeds, [...tg.gradients.values()])
      yield new Map([...tg.gradients].map(([name, output]) => [name, results[output].data as Float32Array]))
      for (const result of Object.values(results)) result.dispose()
    }
  } finally {
    await session.release()
  }
}
