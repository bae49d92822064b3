import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import type { ArtifactStore, Models } from '../catalog/index.js'
import { Svg, sendDrawing } from './drawing.js'
import { Id, Model, ModelVersion, NewModel, PageOf, PageQuery, Version } from './schemas/index.js'
import { uploadOf } from './upload.js'

export interface ModelsPart {
  readonly models: Models
  readonly artifacts: ArtifactStore
}

const One = Type.Object({ id: Id })
const OneVersion = Type.Object({ id: Id, version: Version })
const tags = ['models']

export const models: FastifyPluginAsyncTypebox<ModelsPart> = async (app, { models, artifacts }) => {
  app.get(
    '',
    { schema: { tags, summary: 'List models', querystring: PageQuery, response: { 200: PageOf(Model) } } },
    async ({ query }) => models.list(query),
  )

  app.post(
    '',
    { schema: { tags, summary: 'Register a model', body: NewModel, response: { 201: Model } } },
    async ({ body }, reply) => reply.code(201).send(models.create(body)),
  )

  app.get(
    '/:id',
    { schema: { tags, summary: 'One model', params: One, response: { 200: Model } } },
    async ({ params }) => models.get(params.id),
  )

  app.get(
    '/:id/versions',
    {
      schema: {
        tags,
        summary: "A model's versions, newest first",
        params: One,
        querystring: PageQuery,
        response: { 200: PageOf(ModelVersion) },
      },
    },
    async ({ params, query }) => models.versions(params.id, query),
  )

  app.post(
    '/:id/versions',
    {
      schema: {
        tags,
        summary: 'Upload an ONNX file as the next version',
        description: 'The body is the file itself. It is accepted once it has been read whole.',
        consumes: ['application/octet-stream'],
        params: One,
        response: { 201: ModelVersion },
      },
    },
    async (request, reply) =>
      reply.code(201).send(await models.addVersion(request.params.id, uploadOf(request))),
  )

  app.get(
    '/:id/versions/:version',
    { schema: { tags, summary: 'One version', params: OneVersion, response: { 200: ModelVersion } } },
    async ({ params }) => models.version(params.id, params.version),
  )

  app.get(
    '/:id/versions/:version/file',
    { schema: { tags, summary: "A version's ONNX file", params: OneVersion } },
    async ({ params }, reply) => {
      const { digest } = models.version(params.id, params.version)
      const { stream, bytes } = await artifacts.read(digest)
      return reply
        .type('application/octet-stream')
        .header('content-length', bytes)
        .header('content-disposition', `attachment; filename="${params.id}-v${params.version}.onnx"`)
        .send(stream)
    },
  )

  app.get(
    '/:id/versions/:version/drawing.svg',
    { schema: { tags, summary: 'The network, drawn layer by layer', params: OneVersion, response: Svg } },
    async ({ params: { id, version } }, reply) =>
      sendDrawing(reply, artifacts, `version ${version} of model '${id}'`, models.version(id, version)),
  )
}
