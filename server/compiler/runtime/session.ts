import { asEspalierError, EspalierError } from '@espalier/shared'
import { sessionOptions } from '@espalier/shared/measure/child.js'
import * as ort from 'onnxruntime-node'
import { type DType, Graph, type NumericArray, type Tensor, tensor } from '../graph/index.js'
import { writeModel } from '../onnx/index.js'

export interface SessionOptions {
  /** Default 1. */
  readonly threads?: number
  /** false switches the runtime's own rewriting off: quicker to load, slower to run, any value can be an output. */
  readonly optimize?: boolean
}

/** A loaded network, with the options that memory is measured with. `run` blocks the event loop while it computes. */
export class Session {
  private constructor(readonly session: ort.InferenceSession) {}

  /**
   * Loads a graph, the bytes of an ONNX file, or a file by its path. Close it when done.
   * @throws MODEL_UNSUPPORTED, naming the operator where it is about one, if the runtime cannot load it.
   */
  static async open(
    model: Graph | Uint8Array | string,
    { threads = 1, optimize = true }: SessionOptions = {},
  ): Promise<Session> {
    const options: ort.InferenceSession.SessionOptions = {
      ...sessionOptions(threads),
      graphOptimizationLevel: optimize ? 'all' : 'disabled',
    }
    try {
      if (typeof model === 'string') return new Session(await ort.InferenceSession.create(model, options))
      const bytes = model instanceof Graph ? writeModel(model) : model
      return new Session(await ort.InferenceSession.create(bytes, options))
    } catch (cause) {
      throw unloadable(model instanceof Graph ? model : undefined, cause)
    }
  }

  /**
   * Outputs by name, all of them or those that are wanted, copied out of the runtime's memory, which is freed.
   * @throws MODEL_UNRUNNABLE, with what the runtime said.
   */
  async run(
    feeds: Readonly<Record<string, Tensor>>,
    wanted: readonly string[] = this.session.outputNames,
  ): Promise<Map<string, Tensor>> {
    const given = Object.fromEntries(Object.entries(feeds).map(([name, t]) => [name, toRuntime(t)]))
    let results: ort.InferenceSession.OnnxValueMapType
    try {
      results = await this.session.run(given, wanted)
    } catch (cause) {
      throw new EspalierError('MODEL_UNRUNNABLE', `the network does not run: ${reason(cause)}`, { cause })
    }
    const outputs = new Map<string, Tensor>()
    for (const [name, value] of Object.entries(results)) {
      outputs.set(name, fromRuntime(value))
      value.dispose()
    }
    return outputs
  }

  close(): Promise<void> {
    return this.session.release()
  }
}

const toRuntime = ({ dtype, dims, data }: Tensor): ort.Tensor =>
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
    (n) => message.includes(`${n.domain}:${n.op}(`) || message.includes(`for ${n.op}(`),
  )
  const what = named
    ? `operator ${named.domain ? `${named.domain}.` : ''}${named.op} of node '${named.name}' is not one that onnxruntime can load`
    : 'onnxruntime cannot load this model'
  return new EspalierError('MODEL_UNSUPPORTED', `${what} (${message})`, { cause })
}
