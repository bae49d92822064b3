import { asEspalierError, EspalierError } from '@espalier/shared'
import { sessionOptions } from '@espalier/shared/measure/child.js'
import * as ort from 'onnxruntime-node'
import { type DType, Graph, type NumericArray, type Tensor, tensor } from '../graph/index.js'
import { writeModel } from '../onnx/index.js'

export type Session = ort.InferenceSession

export interface SessionOptions {
  /** Default 1. */
  readonly threads?: number
  /** false leaves out the runtime's graph optimizations, so that every intermediate can be an output. */
  readonly optimize?: boolean
}

/**
 * A session for a graph, the bytes of an ONNX file, or the path of one. Release it when done.
 * @throws MODEL_UNRUNNABLE, with what the runtime said.
 */
export async function openSession(
  model: Graph | Uint8Array | string,
  { threads = 1, optimize = true }: SessionOptions = {},
): Promise<Session> {
  const options: ort.InferenceSession.SessionOptions = {
    ...sessionOptions(threads),
    graphOptimizationLevel: optimize ? 'all' : 'disabled',
  }
  try {
    if (typeof model === 'string') return await ort.InferenceSession.create(model, options)
    return await ort.InferenceSession.create(model instanceof Graph ? writeModel(model) : model, options)
  } catch (cause) {
    throw unrunnable('load', cause)
  }
}

/**
 * Runs a session once. Outputs are copied out of the runtime's memory, which is freed.
 * @param outputs names of those wanted; all of them if not given
 * @throws MODEL_UNRUNNABLE
 */
export async function run(
  session: Session,
  feeds: Readonly<Record<string, Tensor>>,
  outputs: readonly string[] = session.outputNames,
): Promise<Record<string, Tensor>> {
  const given = Object.entries(feeds).map(([name, t]) => [name, toRuntime(t)] as const)
  let results: ort.InferenceSession.OnnxValueMapType
  try {
    results = await session.run(Object.fromEntries(given), outputs)
  } catch (cause) {
    throw unrunnable('run', cause)
  }
  const copies: Record<string, Tensor> = {}
  for (const [name, result] of Object.entries(results)) {
    copies[name] = fromRuntime(result)
    result.dispose()
  }
  return copies
}

const toRuntime = ({ dtype, dims, data }: Tensor): ort.Tensor =>
  new ort.Tensor(dtype as 'float32', data as Float32Array, dims)

function fromRuntime(result: ort.OnnxValue): Tensor {
  if (result.type === 'string') return { dtype: 'string', dims: result.dims, data: new Uint8Array(0) }
  return tensor(result.type as DType, result.dims, (result.data as NumericArray).slice())
}

function unrunnable(did: 'load' | 'run', cause: unknown): EspalierError {
  const why = asEspalierError(cause).message.replaceAll('\n', ' ').slice(0, 400)
  return new EspalierError('MODEL_UNRUNNABLE', `the runtime cannot ${did} the network: ${why}`, { cause })
}
