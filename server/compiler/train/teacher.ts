import { EspalierError } from '@espalier/shared'
import * as ort from 'onnxruntime-node'
import { elementCount, type Graph } from '../graph/index.js'
import { openSession } from '../runtime/index.js'
import type { Guide } from './goal.js'
import { TEACHER_LOGITS, teacherInput } from './loss.js'
import type { Samples } from './options.js'
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
  data: Samples,
  names: readonly string[],
): Promise<Guide> {
  const lacking = names.find((name) => !graph.outputs.some((o) => o.name === name))
  if (lacking !== undefined)
    throw new EspalierError(
      'MODEL_UNSUPPORTED',
      `the teacher has no output '${lacking}', which the network has`,
    )
  const prepared = prepare(graph, batchOf(graph, batch, data))
  const session = await openSession(
    prepared.with({ outputs: prepared.outputs.filter((o) => names.includes(o.name)) }),
  )
  const guide = async (given: Readonly<Record<string, ort.Tensor>>) => {
    const results = await session.run(inputsOf(session, given))
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
 * A network that answers batches: the function gives feeds of the logits of one of its outputs (or of what it gives under a
 * final activation), [batch, classes].
 * @throws MODEL_UNSUPPORTED if it tells another number of classes apart
 */
export async function teacherOf(
  graph: Graph,
  batch: number,
  data: Samples,
  { classes, what, answer }: { classes: number; what: 'logits' | 'value'; answer: string },
): Promise<Guide> {
  const prepared = prepare(graph, batchOf(graph, batch, data))
  const outputs = outputsOf(graph, await sizesOf(prepared))
  const [first] = outputs.values()
  const { [what]: logits, dims } = outputs.get(answer) ?? first
  if (elementCount(dims) !== batch * classes)
    throw new EspalierError(
      'MODEL_UNSUPPORTED',
      `the teacher tells ${elementCount(dims) / batch} classes apart, the network ${classes}; they must agree`,
    )
  const session = await openSession(
    prepared.with({ outputs: [{ name: logits, dtype: 'float32', dims: null }] }),
  )
  const guide = async (given: Readonly<Record<string, ort.Tensor>>) => {
    const { [logits]: result } = await session.run(inputsOf(session, given))
    const copy = (result.data as Float32Array).slice()
    result.dispose()
    return { [TEACHER_LOGITS]: new ort.Tensor('float32', copy, [batch, classes]) }
  }
  return Object.assign(guide, { release: () => session.release() })
}

/** The answers of two. */
export function both(a: Guide, b: Guide): Guide {
  const guide: (...given: Parameters<Guide>) => ReturnType<Guide> = async (...given) => ({
    ...(await a(...given)),
    ...(await b(...given)),
  })
  return Object.assign(guide, { release: async () => void (await Promise.all([a.release(), b.release()])) })
}

/** What a network is fed, by its own names; a teacher's only input may be called otherwise than the network's. */
function inputsOf(session: ort.InferenceSession, given: Readonly<Record<string, ort.Tensor>>) {
  const [first] = Object.values(given)
  return Object.fromEntries(session.inputNames.map((name) => [name, given[name] ?? first]))
}
