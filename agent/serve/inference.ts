import { EspalierError } from '@espalier/shared'
import { type InferenceRequest, inferenceRequest, parse } from '@espalier/shared/messages/index.js'
import type { InferenceSession, Tensor, TensorConstructor } from 'onnxruntime-common'
import { datatypeOf, decode, toBytes, toJson, type Values } from './tensors.js'

/** A network ready to answer, and who it is. */
export interface Served {
  readonly session: InferenceSession
  readonly Tensor: TensorConstructor
  readonly name: string
  readonly version: string
}

/** An answer's bytes; with tensors in binary form, how many of them are its JSON. */
export interface Answer {
  readonly body: Buffer
  readonly jsonBytes: number | null
}

/**
 * Answers one inference request of the Open Inference Protocol v2 with its binary tensor extension.
 * @param jsonBytes length of the JSON in `body` where binary tensors follow it (`Inference-Header-Content-Length`)
 * @throws REQUEST_INVALID, MESSAGE_INVALID, MODEL_UNRUNNABLE
 * @see https://kserve.github.io/website/docs/concepts/architecture/data-plane/v2-protocol
 */
export async function infer(served: Served, body: Buffer, jsonBytes: number | null): Promise<Answer> {
  if (jsonBytes !== null && !(jsonBytes >= 0 && jsonBytes <= body.length))
    throw new EspalierError(
      'REQUEST_INVALID',
      `Inference-Header-Content-Length is ${jsonBytes}, the body has ${body.length} bytes`,
    )
  const request = parse(inferenceRequest, body.subarray(0, jsonBytes ?? body.length))
  const feeds = feedsOf(served, request, body.subarray(jsonBytes ?? body.length))
  const wanted = outputsOf(served.session, request)
  let results: InferenceSession.OnnxValueMapType
  try {
    results = await served.session.run(
      feeds,
      wanted.map(({ name }) => name),
    )
  } catch (cause) {
    const why = cause instanceof Error ? cause.message.replace(/\s+/g, ' ').slice(0, 400) : String(cause)
    throw new EspalierError('MODEL_UNRUNNABLE', `the network does not run on this input: ${why}`, { cause })
  }
  try {
    return answerOf(served, request, wanted, results)
  } finally {
    for (const result of Object.values(results)) result.dispose()
  }
}

function feedsOf(
  { session, Tensor }: Served,
  { inputs }: InferenceRequest,
  binary: Buffer,
): Record<string, Tensor> {
  const feeds: Record<string, Tensor> = {}
  let at = 0
  for (const input of inputs) {
    const { name, shape, datatype, parameters } = input
    const declared = session.inputMetadata.find((i) => i.name === name)
    if (!declared?.isTensor)
      throw new EspalierError(
        'REQUEST_INVALID',
        `there is no input '${name}'; the network has ${session.inputNames.map((n) => `'${n}'`).join(', ')}`,
      )
    const wanted = datatypeOf(declared.type)
    if (datatype !== wanted)
      throw new EspalierError(
        'REQUEST_INVALID',
        `input '${name}' is ${datatype}, the network takes ${wanted}`,
      )
    const fits =
      shape.length === declared.shape.length &&
      shape.every((d, i) => typeof declared.shape[i] !== 'number' || declared.shape[i] === d)
    if (!fits)
      throw new EspalierError(
        'REQUEST_INVALID',
        `input '${name}' has the shape [${shape.join(', ')}], the network takes [${declared.shape.join(', ')}]`,
      )
    const size = parameters?.binary_data_size
    const part = size === undefined ? null : binary.subarray(at, at + size)
    at += size ?? 0
    const { type, values } = decode(input, part)
    feeds[name] = new Tensor(type as 'float32', values as Float32Array, shape)
  }
  const missing = session.inputNames.find((name) => !feeds[name])
  if (missing !== undefined) throw new EspalierError('REQUEST_INVALID', `input '${missing}' is not given`)
  if (at !== binary.length)
    throw new EspalierError(
      'REQUEST_INVALID',
      `${binary.length} bytes follow the JSON, its inputs declare ${at}`,
    )
  return feeds
}

interface Wanted {
  readonly name: string
  readonly isBinary: boolean
}

function outputsOf(session: InferenceSession, { outputs, parameters }: InferenceRequest): Wanted[] {
  const isBinary = parameters?.binary_data_output ?? false
  if (!outputs || outputs.length === 0) return session.outputNames.map((name) => ({ name, isBinary }))
  return outputs.map(({ name, parameters: own }) => {
    if (!session.outputNames.includes(name))
      throw new EspalierError(
        'REQUEST_INVALID',
        `there is no output '${name}'; the network has ${session.outputNames.map((n) => `'${n}'`).join(', ')}`,
      )
    return { name, isBinary: own?.binary_data ?? isBinary }
  })
}

function answerOf(
  { name, version }: Served,
  { id }: InferenceRequest,
  wanted: readonly Wanted[],
  results: InferenceSession.OnnxValueMapType,
): Answer {
  const parts: Uint8Array[] = []
  const outputs = wanted.map(({ name, isBinary }) => {
    const { type, dims, data } = results[name] as Tensor
    const about = { name, shape: dims, datatype: datatypeOf(type) ?? type }
    const values = data as Values
    if (!isBinary) return { ...about, data: toJson(type, values) }
    // The runtime takes its memory back when the result is disposed of.
    parts.push(toBytes(values).slice())
    return { ...about, parameters: { binary_data_size: values.byteLength } }
  })
  const json = Buffer.from(JSON.stringify({ model_name: name, model_version: version, id, outputs }))
  return parts.length === 0
    ? { body: json, jsonBytes: null }
    : { body: Buffer.concat([json, ...parts]), jsonBytes: json.length }
}
