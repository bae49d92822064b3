import { asEspalierError, type ErrorCode, EspalierError } from '@espalier/shared'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { storeError } from '../store/index.js'
import type { Problem } from './schemas/index.js'

/** The HTTP status of each error code. */
export const status: Record<ErrorCode, number> = {
  ACCURACY_UNDER_FLOOR: 409,
  ARTIFACT_DAMAGED: 422,
  ARTIFACT_UNKNOWN: 404,
  BLOCK_INVALID: 422,
  BOARD_UNKNOWN: 404,
  BODY_TOO_LARGE: 413,
  BROKER_CROWDED: 503,
  BROKER_INSECURE: 422,
  BROKER_UNREACHABLE: 503,
  BUDGET_UNREACHABLE: 422,
  CANCELLED: 409,
  CATALOGUE_UNKNOWN: 404,
  COMPILATION_ACTIVE: 409,
  COMPILATION_ENDED: 409,
  COMPILATION_FAILED: 422,
  COMPILATION_UNKNOWN: 404,
  CONFIG_INVALID: 422,
  CREDENTIAL_INVALID: 401,
  CURSOR_INVALID: 400,
  DATABASE_INVALID: 500,
  DATABASE_NEWER: 500,
  DATASET_EXISTS: 409,
  DATASET_INVALID: 422,
  DATASET_UNKNOWN: 404,
  DATA_INVALID: 422,
  DATA_LABELS_INVALID: 422,
  DATA_SHAPE_MISMATCH: 422,
  DATA_SHARED: 422,
  DATA_SPEC_INVALID: 422,
  DATA_TOO_LARGE: 422,
  DATA_UNLABELLED: 422,
  DEADLINE_PASSED: 422,
  DEVICE_CONNECTED: 409,
  DEVICE_EXISTS: 409,
  DEVICE_RETIRED: 409,
  DEVICE_SILENT: 504,
  DEVICE_UNKNOWN: 404,
  DIMENSION_UNKNOWN: 422,
  DISK_FULL: 507,
  DOCUMENT_EXPIRED: 422,
  DOCUMENT_MISBOUND: 422,
  DOCUMENT_REPLAYED: 409,
  DRAWING_UNKNOWN: 404,
  ENROLMENT_REFUSED: 403,
  ENROLMENT_TOKEN_UNKNOWN: 404,
  ENROLMENT_UNAVAILABLE: 409,
  EXTERNAL_DATA_INVALID: 422,
  FILE_NOT_FOUND: 422,
  GRADIENT_UNKNOWN: 422,
  GROUP_UNKNOWN: 404,
  HOOK_FAILED: 500,
  HOST_FORBIDDEN: 421,
  IDEMPOTENCY_KEY_BUSY: 409,
  IDEMPOTENCY_KEY_REUSED: 422,
  INTERNAL: 500,
  INTERRUPTED: 503,
  KEY_INVALID: 422,
  LATENCY_OVER_LIMIT: 422,
  MEASURING_FAILED: 422,
  MEDIA_TYPE_UNSUPPORTED: 415,
  MEMORY_LIMIT: 422,
  MEMORY_OVER_BUDGET: 422,
  MESSAGE_INVALID: 422,
  MESSAGE_TOO_LARGE: 413,
  MODEL_EXISTS: 409,
  MODEL_INVALID: 422,
  MODEL_NOT_READY: 503,
  MODEL_TOO_HEAVY: 422,
  MODEL_UNKNOWN: 404,
  MODEL_UNRUNNABLE: 422,
  MODEL_UNSUPPORTED: 422,
  NOT_ONNX: 422,
  NO_VARIANT_FITS: 422,
  OPTION_INVALID: 422,
  ORIGIN_FORBIDDEN: 403,
  OUTPUT_WRONG: 422,
  PORT_TAKEN: 500,
  PRUNING_INEXACT: 500,
  RECIPE_INVALID: 422,
  REQUEST_INVALID: 400,
  ROUTE_UNKNOWN: 404,
  SERVICE_UNREACHABLE: 503,
  SIGNATURE_INVALID: 422,
  SIZE_INVALID: 422,
  STATE_LOCKED: 422,
  TIME_LIMIT: 422,
  TOKEN_INVALID: 401,
  TOO_MANY_WATCHERS: 503,
  TOPIC_FORBIDDEN: 403,
  TOPIC_INVALID: 422,
  TRAINING_DIVERGED: 422,
  UPLOAD_INCOMPLETE: 400,
  UPLOAD_TOO_LARGE: 413,
  VARIANT_UNKNOWN: 404,
  VERSION_UNKNOWN: 404,
  WEIGHT_NOT_FINITE: 422,
  WORKER_CRASHED: 500,
  WRITE_FAILED: 500,
}

/** Codes for what Fastify refuses by itself, by its status. */
const fastifyCodes: Readonly<Record<number, ErrorCode>> = {
  404: 'ROUTE_UNKNOWN',
  413: 'BODY_TOO_LARGE',
  415: 'MEDIA_TYPE_UNSUPPORTED',
}

/** Whatever a route threw, as the problem that the caller is told. */
export function problemOf(thrown: unknown): Problem {
  const error = fromFastify(thrown) ?? asEspalierError(storeError(thrown))
  const code = error.code
  return {
    type: 'about:blank',
    title: title(code),
    status: status[code],
    code,
    detail: code === 'INTERNAL' ? 'the service failed; its log says why' : error.message,
    ...validation(thrown),
  }
}

/** Makes every answer that is not a success a problem: thrown errors, refused bodies, unknown routes. */
export function handleProblems(app: FastifyInstance): void {
  app.setErrorHandler((thrown, request, reply) => {
    const problem = problemOf(thrown)
    if (problem.status >= 500) request.log.error({ err: thrown }, problem.title)
    return send(reply, problem)
  })
  app.setNotFoundHandler((request: FastifyRequest, reply: FastifyReply) =>
    send(
      reply,
      problemOf(
        new EspalierError(
          'ROUTE_UNKNOWN',
          `there is nothing at ${request.method} ${request.url}; see /docs for what there is`,
        ),
      ),
    ),
  )
}

const send = (reply: FastifyReply, problem: Problem) =>
  reply.code(problem.status).type('application/problem+json').serializer(JSON.stringify).send(problem)

function fromFastify(thrown: unknown): EspalierError | undefined {
  if (!(thrown instanceof Error) || thrown instanceof EspalierError) return undefined
  const { statusCode = 500, message } = thrown as FastifyError
  if (statusCode >= 500) return undefined
  return new EspalierError(fastifyCodes[statusCode] ?? 'REQUEST_INVALID', message, { cause: thrown })
}

function validation(thrown: unknown): Pick<Problem, 'errors'> {
  const found = thrown instanceof Error && (thrown as FastifyError).validation
  if (!found) return {}
  return {
    errors: found.slice(0, 20).map((e) => ({ path: e.instancePath, message: e.message ?? e.keyword })),
  }
}

const title = (code: ErrorCode) => code.charAt(0) + code.slice(1).toLowerCase().replaceAll('_', ' ')
