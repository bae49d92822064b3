import type { Readable } from 'node:stream'
import { EspalierError } from '@espalier/shared'
import type { FastifyRequest } from 'fastify'

/** The stream of an `application/octet-stream` body. @throws MEDIA_TYPE_UNSUPPORTED for any other */
export function uploadOf(request: FastifyRequest): Readable {
  if (request.headers['content-type']?.split(';')[0].trim() !== 'application/octet-stream') {
    throw new EspalierError(
      'MEDIA_TYPE_UNSUPPORTED',
      'send the file itself as the body, with content-type: application/octet-stream',
    )
  }
  return request.body as Readable
}
