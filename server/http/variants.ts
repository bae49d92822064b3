import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import type { ArtifactStore, Variants } from '../catalog/index.js'
import { Svg, sendDrawing } from './drawing.js'
import { Id, PageOf, PageQuery, Variant, Version } from './schemas/index.js'

export interface VariantsPart {
  readonly variants: Variants
  readonly artifacts: ArtifactStore
}

const One = Type.Object({ id: Id })
const Which = Type.Object({
  ...PageQuery.properties,
  model: Type.Optional(Id),
  version: Type.Optional(Version),
  compilation: Type.Optional(Id),
  withdrawn: Type.Optional(Type.Boolean()),
})
const tags = ['variants']

export const variants: FastifyPluginAsyncTypebox<VariantsPart> = async (app, { variants, artifacts }) => {
  app.get(
    '',
    {
      schema: {
        tags,
        summary: 'List variants, newest first',
        querystring: Which,
        response: { 200: PageOf(Variant) },
      },
    },
    async ({ query }) => variants.list(query),
  )

  app.get(
    '/:id',
    { schema: { tags, summary: 'One variant', params: One, response: { 200: Variant } } },
    async ({ params }) => variants.get(params.id),
  )

  app.get(
    '/:id/artifact',
    { schema: { tags, summary: "A variant's bytes, as devices fetch them", params: One } },
    async ({ params }, reply) => {
      const { digest, name } = variants.get(params.id)
      const { stream, bytes } = await artifacts.read(digest)
      return reply
        .type('application/octet-stream')
        .header('content-length', bytes)
        .header('etag', `"${digest}"`)
        .header('content-disposition', `attachment; filename="${name.replace(/[^\w.-]/g, '_')}.onnx"`)
        .send(stream)
    },
  )

  app.get(
    '/:id/drawing.svg',
    {
      schema: {
        tags,
        summary: 'The network before and after, drawn layer by layer',
        params: One,
        response: Svg,
      },
    },
    async ({ params: { id } }, reply) => sendDrawing(reply, artifacts, `variant '${id}'`, variants.get(id)),
  )

  app.post(
    '/:id/withdraw',
    {
      schema: {
        tags,
        summary: 'Take a variant out of the offer; devices that run it choose another',
        params: One,
        response: { 200: Variant },
      },
    },
    async ({ params }) => variants.withdraw(params.id),
  )
}
