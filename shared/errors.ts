/** Every error code, in alphabetical order. Codes are stable: one that is retired is never used again. */
export const errorCodes = [
  'ARTIFACT_DAMAGED',
  'ARTIFACT_UNKNOWN',
  'BLOCK_INVALID',
  'BODY_TOO_LARGE',
  'BROKER_INSECURE',
  'BROKER_UNREACHABLE',
  'BUDGET_UNREACHABLE',
  'CANCELLED',
  'CATALOGUE_UNKNOWN',
  'COMPILATION_ACTIVE',
  'COMPILATION_ENDED',
  'COMPILATION_FAILED',
  'COMPILATION_UNKNOWN',
  'CONFIG_INVALID',
  'CREDENTIAL_INVALID',
  'CURSOR_INVALID',
  'DATABASE_INVALID',
  'DATABASE_NEWER',
  'DATASET_EXISTS',
  'DATASET_INVALID',
  'DATASET_UNKNOWN',
  'DATA_INVALID',
  'DATA_LABELS_INVALID',
  'DATA_SHAPE_MISMATCH',
  'DATA_SHARED',
  'DATA_SPEC_INVALID',
  'DATA_TOO_LARGE',
  'DATA_UNLABELLED',
  'DEADLINE_PASSED',
  'DEVICE_CONNECTED',
  'DEVICE_EXISTS',
  'DEVICE_UNKNOWN',
  'DIMENSION_UNKNOWN',
  'DISK_FULL',
  'DOCUMENT_EXPIRED',
  'DOCUMENT_MISBOUND',
  'DOCUMENT_REPLAYED',
  'EXTERNAL_DATA_INVALID',
  'FILE_NOT_FOUND',
  'GRADIENT_UNKNOWN',
  'GROUP_UNKNOWN',
  'HOST_FORBIDDEN',
  'IDEMPOTENCY_KEY_BUSY',
  'IDEMPOTENCY_KEY_REUSED',
  'INTERNAL',
  'INTERRUPTED',
  'KEY_INVALID',
  'LATENCY_OVER_LIMIT',
  'MEASURING_FAILED',
  'MEDIA_TYPE_UNSUPPORTED',
  'MEMORY_LIMIT',
  'MEMORY_OVER_BUDGET',
  'MESSAGE_INVALID',
  'MESSAGE_TOO_LARGE',
  'MODEL_EXISTS',
  'MODEL_INVALID',
  'MODEL_UNKNOWN',
  'MODEL_UNRUNNABLE',
  'MODEL_UNSUPPORTED',
  'NOT_ONNX',
  'NO_VARIANT_FITS',
  'OPTION_INVALID',
  'ORIGIN_FORBIDDEN',
  'PORT_TAKEN',
  'PRUNING_INEXACT',
  'REQUEST_INVALID',
  'ROUTE_UNKNOWN',
  'SERVICE_UNREACHABLE',
  'SIGNATURE_INVALID',
  'SIZE_INVALID',
  'STATE_LOCKED',
  'TIME_LIMIT',
  'TOKEN_INVALID',
  'TOO_MANY_WATCHERS',
  'TOPIC_FORBIDDEN',
  'TOPIC_INVALID',
  'TRAINING_DIVERGED',
  'UPLOAD_INCOMPLETE',
  'UPLOAD_TOO_LARGE',
  'VARIANT_UNKNOWN',
  'VERSION_UNKNOWN',
  'WEIGHT_NOT_FINITE',
  'WORKER_CRASHED',
  'WRITE_FAILED',
] as const

export type ErrorCode = (typeof errorCodes)[number]

/** An error that a user can cause: the message says what was wrong, with which value, and what to do. */
export class EspalierError extends Error {
  constructor(
    readonly code: ErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options)
    this.name = 'EspalierError'
  }
}

/** Any thrown value as an EspalierError; what was not one becomes `INTERNAL` with its cause kept. */
export function asEspalierError(thrown: unknown): EspalierError {
  if (thrown instanceof EspalierError) return thrown
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  return new EspalierError('INTERNAL', message, { cause: thrown })
}
