import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import type { Registry } from 'prom-client'

export interface HealthPart {
  /** Throws what keeps the service from working; used by /readyz. */
  readonly ready: () => void
  readonly metrics: Registry
}

/** `/healthz`: the process answers. `/readyz`: it can do its work. `/metrics`: Prometheus. */
export const health: FastifyPluginAsyncTypebox<HealthPart> = async (app, { ready, metrics }) => {
  const ok = { response: { 200: Type.Object({ status: Type.Literal('ok') }) } }
  app.get(
    '/healthz',
    { schema: { tags: ['health'], summary: 'Is the process alive?', ...ok } },
    async () => ({
      status: 'ok' as const,
    }),
  )
  app.get('/readyz', { schema: { tags: ['health'], summary: 'Can it do its work?', ...ok } }, async () => {
    ready()
    return { status: 'ok' as const }
  })
  app.get(
    '/metrics',
    { schema: { tags: ['health'], summary: 'Prometheus metrics' } },
    async (_request, reply) => reply.type(metrics.contentType).send(await metrics.metrics()),
  )
}
