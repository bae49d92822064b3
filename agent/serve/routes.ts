import type { IncomingMessage, ServerResponse } from 'node:http'
import { asEspalierError, type ErrorCode, EspalierError } from '@espalier/shared'
import { MAX_INFERENCE_BYTES } from '@espalier/shared/messages/index.js'
import { infer, type Served } from './inference.js'
import { datatypeOf } from './tensors.js'

const statuses: Partial<Record<ErrorCode, number>> = {
  REQUEST_INVALID: 400,
  MESSAGE_INVALID: 400,
  MODEL_UNRUNNABLE: 400,
  ORIGIN_FORBIDDEN: 403,
  HOST_FORBIDDEN: 403,
  MODEL_UNKNOWN: 404,
  ROUTE_UNKNOWN: 404,
  MESSAGE_TOO_LARGE: 413,
  MODEL_NOT_READY: 503,
}

/** Answers with an error in the protocol's form, `{"error": …}`, and its stable code beside it. */
export function sendError(response: ServerResponse, thrown: unknown): void {
  const { code, message } = asEspalierError(thrown)
  const status = statuses[code] ?? 500
  if (response.headersSent) {
    response.destroy()
    return
  }
  if (status === 503) response.setHeader('retry-after', '1')
  send(response, status, { error: message, code })
}

function send(response: ServerResponse, status: number, content?: object): void {
  response.statusCode = status
  if (content) response.setHeader('content-type', 'application/json')
  response.end(content && JSON.stringify(content))
}

/** `/v2` of the Open Inference Protocol over one network. Never throws. */
export async function answer(
  served: Served,
  extra: object,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    const [path] = (request.url ?? '/').split('?')
    const match =
      /^\/v2(?:\/health\/(live|ready)|\/models\/([^/]+)(?:\/versions\/([^/]+))?(\/ready|\/infer)?)?\/?$/.exec(
        path,
      )
    if (!match) throw new EspalierError('ROUTE_UNKNOWN', `there is no ${path}; see /v2`)
    const [, health, model, version, action] = match
    if (model !== undefined) requireModel(served, decoded(model), version)
    const method = action === '/infer' ? 'POST' : 'GET'
    if (request.method !== method) {
      response.setHeader('allow', method)
      return send(response, 405, { error: `${path} takes ${method}`, code: 'REQUEST_INVALID' })
    }
    if (health || action === '/ready') return send(response, 200)
    if (action === '/infer') return await inferred(served, request, response)
    send(response, 200, model === undefined ? server : { ...metadata(served), parameters: extra })
  } catch (thrown) {
    sendError(response, thrown)
  }
}

const server = { name: 'espalier-agent', version: '2', extensions: ['binary_tensor_data'] }

/** A part of a path; one whose escapes are none stands for itself. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

function requireModel({ name, version }: Served, model: string, asked: string | undefined): void {
  if (model === name && (asked === undefined || decoded(asked) === version)) return
  throw new EspalierError(
    'MODEL_UNKNOWN',
    `${model}${asked === undefined ? '' : ` version ${asked}`} is not served here; ${name} version ${version} is`,
  )
}

function metadata({ session, name, version }: Served) {
  const described = (values: Served['session']['inputMetadata']) =>
    values.map((value) => ({
      name: value.name,
      datatype: value.isTensor ? datatypeOf(value.type) : null,
      shape: value.isTensor ? value.shape.map((d) => (typeof d === 'number' ? d : -1)) : [],
    }))
  return {
    name,
    versions: [version],
    platform: 'onnxruntime_onnx',
    inputs: described(session.inputMetadata),
    outputs: described(session.outputMetadata),
  }
}

async function inferred(served: Served, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const header = request.headers['inference-header-content-length']
  const { body, jsonBytes } = await infer(
    served,
    await bodyOf(request),
    header === undefined ? null : Number(header),
  )
  if (jsonBytes !== null) response.setHeader('inference-header-content-length', jsonBytes)
  response.setHeader('content-type', jsonBytes === null ? 'application/json' : 'application/octet-stream')
  response.setHeader('content-length', body.length)
  response.end(body)
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = []
  let bytes = 0
  for await (const part of request as AsyncIterable<Buffer>) {
    bytes += part.length
    if (bytes > MAX_INFERENCE_BYTES)
      throw new EspalierError('MESSAGE_TOO_LARGE', `the request has more than ${MAX_INFERENCE_BYTES} bytes`)
    parts.push(part)
  }
  return Buffer.concat(parts, bytes)
}
