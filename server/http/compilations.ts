import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import type { Compilations } from '../compilations/index.js'
import { Compilation, CompilationDetail, Id, NewCompilation, PageOf, PageQuery } from './schemas/index.js'

export interface CompilationsPart {
  readonly compilations: Compilations
}

const One = Type.Object({ id: Id })
const tags = ['compilations']
/** A request may carry a profile: a few thousand operator times. */
const profileLimit = 16 * 2 ** 20

export const compilations: FastifyPluginAsyncTypebox<CompilationsPart> = async (app, { compilations }) => {
  app.get(
    '',
    {
      schema: {
        tags,
        summary: 'List compilations, newest first',
        querystring: Type.Object({ ...PageQuery.properties, model: Type.Optional(Id) }),
        response: { 200: PageOf(Compilation) },
      },
    },
    async ({ query }) => compilations.list(query),
  )

  app.post(
    '',
    {
      bodyLimit: profileLimit,
      schema: {
        tags,
        summary: 'Compile a model version into variants',
        description: 'Answers at once; follow it at its own address or in /v1/events.',
        body: NewCompilation,
        response: { 202: Compilation },
      },
    },
    async ({ body }, reply) => {
      const compilation = compilations.create(body)
      return reply.code(202).header('location', `/v1/compilations/${compilation.id}`).send(compilation)
    },
  )

  app.get(
    '/:id',
    {
      schema: {
        tags,
        summary: 'One compilation, with its stages',
        params: One,
        response: { 200: CompilationDetail },
      },
    },
    async ({ params }) => compilations.get(params.id),
  )

  app.get(
    '/:id/report',
    { schema: { tags, summary: 'What was done, for people (Markdown)', params: One } },
    async ({ params }, reply) =>
      reply.type('text/markdown; charset=utf-8').send(compilations.report(params.id)),
  )

  app.post(
    '/:id/cancel',
    { schema: { tags, summary: 'Stop a compilation', params: One, response: { 200: Compilation } } },
    async ({ params }) => compilations.cancel(params.id),
  )

  app.post(
    '/:id/retry',
    {
      schema: {
        tags,
        summary: 'Queue a failed, cancelled or interrupted compilation again',
        params: One,
        response: { 202: Compilation },
      },
    },
    async ({ params }, reply) => reply.code(202).send(compilations.retry(params.id)),
  )
}
