import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import type { AdmissionPart } from './parts.js'
import { CreatedToken, EnrolmentToken, Id, NewEnrolmentToken, PageOf, PageQuery } from './schemas/index.js'

export const enrolmentTokens: FastifyPluginAsyncTypebox<{ readonly admission: AdmissionPart }> = async (
  app,
  { admission },
) => {
  const tags = ['enrolment']
  app.get(
    '/',
    {
      schema: {
        tags,
        summary: 'List enrolment tokens',
        querystring: PageQuery,
        response: { 200: PageOf(EnrolmentToken) },
      },
    },
    async ({ query }) => admission.tokens(query),
  )

  app.post(
    '/',
    {
      schema: {
        tags,
        summary: 'Create a token with which devices enrol; the code to hand to them is shown this once',
        body: NewEnrolmentToken,
        response: { 201: CreatedToken },
      },
    },
    async ({ body }, reply) => reply.code(201).send(admission.createToken(body)),
  )

  app.post(
    '/:id/revoke',
    {
      schema: {
        tags,
        summary: 'Let nobody enrol by this token any more',
        params: Type.Object({ id: Id }),
        response: { 200: EnrolmentToken },
      },
    },
    async ({ params }) => admission.revokeToken(params.id),
  )
}
