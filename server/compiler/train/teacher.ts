import { EspalierError } from '@espalier/shared'
import type * as ort from 'onnxruntime-node'
import type { Graph } from '../graph/index.js'
import { openSession } from '../runtime/index.js'
import { outputsOf } from './outputs.js'
import { batchOf, prepare } from './prepare.js'
import { sizesOf } from './shapes.js'

/**
 * A network that answers batches: the function gives its logits (or what it gives under a final activation), [batch,
 * classes], for a batch of inputs.
 * @throws MODEL_UNSUPPORTED if it tells another number of classes apart
 */
export async function teacherOf(
  graph: Graph,
  batch: number,
  sample: readonly number[],
  classes: number,
  of: 'logits' | 'value' = 'logits',
) {
  const prepared = prepare(graph, batchOf(graph, batch, sample))
  const [{ [of]: logits }] = outputsOf(graph, await sizesOf(prepared)).values()
  const session = await openSession(
    prepared.with({ outputs: [{ name: logits, dtype: 'float32', dims: null }] }),
  )
  const guide = async (x: ort.Tensor): Promise<Float32Array> => {
    const { [logits]: result } = await session.run({ [session.inputNames[0]]: x })
    const copy = (result.data as Float32Array).slice()
    result.dispose()
    if (copy.length !== batch * classes)
      throw new EspalierError(
        'MODEL_UNSUPPORTED',
        `the teacher tells ${copy.length / batch} classes apart, the network ${classes}; they must agree`,
      )
    return copy
  }
  return Object.assign(guide, { release: () => session.release() })
}
