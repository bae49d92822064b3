import { EspalierError } from '@espalier/shared'
import { Type } from '@fastify/type-provider-typebox'
import type { FastifyReply } from 'fastify'
import type { ArtifactStore } from '../catalog/index.js'

/** The answer of a route that gives a drawing, for OpenAPI. */
export const Svg = { 200: { description: 'An SVG', content: { 'image/svg+xml': { schema: Type.String() } } } }

/** A picture of a network may show names that anybody chose: whatever they are, it runs and loads nothing. */
const policy = "default-src 'none'; style-src 'unsafe-inline'; sandbox"

/** @throws DRAWING_UNKNOWN with the reason that there is none */
export async function sendDrawing(
  reply: FastifyReply,
  artifacts: ArtifactStore,
  what: string,
  { drawing, undrawn }: { readonly drawing: string | null; readonly undrawn: string | null },
): Promise<FastifyReply> {
  if (drawing === null) {
    throw new EspalierError(
      'DRAWING_UNKNOWN',
      `there is no drawing of ${what}: ${undrawn ?? 'it was stored before drawings were'}`,
    )
  }
  const { stream, bytes } = await artifacts.read(drawing)
  return reply
    .type('image/svg+xml; charset=utf-8')
    .header('content-length', bytes)
    .header('content-security-policy', policy)
    .header('x-content-type-options', 'nosniff')
    .header('etag', `"${drawing}"`)
    .send(stream)
}
