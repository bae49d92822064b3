import { asEspalierError, EspalierError } from '@espalier/shared'
import { sessionOptions } from '@espalier/shared/measure/child.js'
import * as ort from 'onnxruntime-node'
import {
  type DType,
  elementCount,
  Graph,
  type NumericArray,
  numbersOf,
  type Tensor,
  tensor,
} from '../graph/index.js'
import { readModelFile, writeModel } from '../onnx/index.js'

export interface SessionOptions {
  /** Default 1. */
  readonly threads?: number
  /** false switches the runtime's own rewriting off: quicker to load, slower to run, any value can be an output. */
  readonly optimize?: boolean
}

export type Session = ort.InferenceSession

/**
 * Loads a graph, the bytes of an ONNX file, or a file by its path, with the options that memory is measured with.
 * Release the session when done.
 * @throws MODEL_UNSUPPORTED, naming the operator where it is about one, if the runtime cannot load it;
 *   of a file also what `readModelFile` throws.
 */
export async function openSession(
  model: Graph | Uint8Array | string,
  { threads = 1, optimize = true }: SessionOptions = {},
): Promise<Session> {
  const options: ort.InferenceSession.SessionOptions = {
    ...sessionOptions({ threads }),
    // What goes wrong is thrown; the runtime need not print it as well.
    logSeverityLevel: 4,
    graphOptimizationLevel: optimize ? 'all' : 'disabled',
  }
  try {
    if (typeof model === 'string') return await ort.InferenceSession.create(model, options)
    return await ort.InferenceSession.create(model instanceof Graph ? writeModel(model) : model, options)
  } catch (cause) {
    const graph = typeof model === 'string' ? await readModelFile(model) : model
    throw unloadable(graph instanceof Graph ? graph : undefined, cause)
  }
}

/**
 * Runs a session once, blocking the event loop while it computes. Gives all outputs or those that are wanted, copied
 * out of the runtime's memory, which is freed.
 * @throws MODEL_UNRUNNABLE, with what the runtime said.
 */
export async function run(
  session: Session,
  feeds: Readonly<Record<string, Tensor>>,
  wanted: readonly string[] = session.outputNames,
): Promise<Record<string, Tensor>> {
  const outputs: Record<string, Tensor> = {}
  await each(session, feeds, wanted, (name, value) => {
    outputs[name] = fromRuntime(value)
  })
  return outputs
}

/** What a run gives, without the elements: those only of whole numbers, up to `most` of them. */
export interface Outline {
  readonly dims: readonly number[]
  readonly integers?: readonly number[]
}

/** Runs a session once as `run` does, but copies nothing large. */
export async function outline(
  session: Session,
  feeds: Readonly<Record<string, Tensor>>,
  most: number,
): Promise<Map<string, Outline>> {
  const outlines = new Map<string, Outline>()
  await each(session, feeds, session.outputNames, (name, value) => {
    const { type, dims } = value
    const whole = (type === 'int64' || type === 'int32') && elementCount(dims) <= most
    outlines.set(name, { dims: [...dims], integers: whole ? numbersOf(fromRuntime(value)) : undefined })
  })
  return outlines
}

async function each(
  session: Session,
  feeds: Readonly<Record<string, Tensor>>,
  wanted: readonly string[],
  take: (name: string, value: ort.OnnxValue) => void,
): Promise<void> {
  const given = Object.fromEntries(Object.entries(feeds).map(([name, t]) => [name, toRuntime(t)]))
  let results: ort.InferenceSession.OnnxValueMapType
  try {
    results = await session.run(given, wanted)
  } catch (cause) {
    throw new EspalierError('MODEL_UNRUNNABLE', `the network does not run: ${reason(cause)}`, { cause })
  }
  for (const [name, value] of Object.entries(results)) {
    take(name, value)
    value.dispose()
  }
}

/** The runtime's view of the same array. */
export const toRuntime = ({ dtype, dims, data }: Tensor): ort.Tensor =>
  new ort.Tensor(dtype as 'float32', data as Float32Array, dims)

function fromRuntime(value: ort.OnnxValue): Tensor {
  if (value.type === 'string') return { dtype: 'string', dims: value.dims, data: new Uint8Array(0) }
  return tensor(value.type as DType, value.dims, (value.data as NumericArray).slice())
}

const reason = (cause: unknown) => asEspalierError(cause).message.replace(/\s+/g, ' ').slice(0, 400)

/** onnxruntime's reason for not loading a graph, with the operator's name where it is about one. */
function unloadable(graph: Graph | undefined, cause: unknown): EspalierError {
  const message = reason(cause)
  const named = graph?.nodes.find(
    (n) =>
      message.includes(`${n.domain}:${n.op}(`) ||
      ['(', ' '].some((end) => message.includes(`for ${n.op}${end}`)),
  )
  const what = named
    ? `operator ${named.domain ? `${named.domain}.` : ''}${named.op} of node '${named.name}' is not one that onnxruntime can load`
    : 'onnxruntime cannot load this model'
  return new EspalierError('MODEL_UNSUPPORTED', `${what} (${message})`, { cause })
}
