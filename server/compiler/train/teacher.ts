import { EspalierError } from '@espalier/shared'
import * as ort from 'onnxruntime-node'
import type { Graph } from '../graph/index.js'
import { openSession } from '../runtime/index.js'
import { TEACHER_LOGITS, teacherInput } from './loss.js'
import { outputsOf } from './outputs.js'
import { batchOf, prepare } from './prepare.js'
import { sizesOf } from './shapes.js'

/**
 * A network that answers batches with several of its outputs: the function gives feeds for `matching`.
 * @throws MODEL_UNSUPPORTED if it lacks one of them
 */
export async function outputsTeacher(
  graph: Graph,
  batch: number,
  sample: readonly number[],
  names: readonly string[],
) {
  const lacking = names.find((name) => !graph.outputs.some((o) => o.name === name))
  if (lacking !== undefined)
    throw new EspalierError(
      'MODEL_UNSUPPORTED',
      `the teacher has no output '${lacking}', which the network has`,
    )
  const prepared = prepare(graph, batchOf(graph, batch, sample))
  const session = await openSession(
    prepared.with({ outputs: prepared.outputs.filter((o) => names.includes(o.name)) }),
  )
  const guide = async (x: ort.Tensor): Promise<Record<string, ort.Tensor>> => {
    const results = await session.run({ [session.inputNames[0]]: x })
    const feeds: Record<string, ort.Tensor> = {}
    for (const [name, result] of Object.entries(results)) {
      feeds[teacherInput(name)] = new ort.Tensor(
        'float32',
        (result.data as Float32Array).slice(),
        result.dims,
      )
      result.dispose()
    }
    return feeds
  }
  return Object.assign(guide, { release: () => session.release() })
}

/**
 * A network that answers batches: the function gives feeds of its logits (or of what it gives under a final
 * activation), [batch, classes].
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
  const guide = async (x: ort.Tensor): Promise<Record<string, ort.Tensor>> => {
    const { [logits]: result } = await session.run({ [session.inputNames[0]]: x })
    const copy = (result.data as Float32Array).slice()
    result.dispose()
    if (copy.length !== batch * classes)
      throw new EspalierError(
        'MODEL_UNSUPPORTED',
        `the teacher tells ${copy.length / batch} classes apart, the network ${classes}; they must agree`,
      )
    return { [TEACHER_LOGITS]: new ort.Tensor('float32', copy, [batch, classes]) }
  }
  return Object.assign(guide, { release: () => session.release() })
}
