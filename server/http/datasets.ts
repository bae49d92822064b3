import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import type { Datasets } from '../catalog/index.js'
import { Dataset, Id, Name, NewDataset, PageOf, PageQuery } from './schemas/index.js'
import { uploadOf } from './upload.js'

export interface DatasetsPart {
  readonly datasets: Datasets
}

const One = Type.Object({ id: Id })
const tags = ['datasets']

export const datasets: FastifyPluginAsyncTypebox<DatasetsPart> = async (app, { datasets }) => {
  app.get(
    '',
    {
      schema: { tags, summary: 'List datasets', querystring: PageQuery, response: { 200: PageOf(Dataset) } },
    },
    async ({ query }) => datasets.list(query),
  )

  app.post(
    '',
    {
      schema: {
        tags,
        summary: "Register data that lies on the service's disk",
        body: NewDataset,
        response: { 201: Dataset },
      },
    },
    async ({ body }, reply) => reply.code(201).send(await datasets.create(body)),
  )

  app.post(
    '/:id/file',
    {
      schema: {
        tags,
        summary: 'Upload an npz file (arrays x and perhaps y) as a new dataset',
        consumes: ['application/octet-stream'],
        params: One,
        querystring: Type.Object({ name: Type.Optional(Name) }),
        response: { 201: Dataset },
      },
    },
    async (request, reply) =>
      reply.code(201).send(await datasets.upload({ ...request.query, ...request.params }, uploadOf(request))),
  )

  app.get(
    '/:id',
    { schema: { tags, summary: 'One dataset', params: One, response: { 200: Dataset } } },
    async ({ params }) => datasets.get(params.id),
  )
}
