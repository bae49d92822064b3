import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { TelemetryPart } from './parts.js'
import { Latency, LatencyQuery, PageOf, Report, ReportQuery } from './schemas/index.js'

export interface ReportsPart {
  readonly telemetry: TelemetryPart
}

const tags = ['telemetry']

export const reports: FastifyPluginAsyncTypebox<ReportsPart> = async (app, { telemetry }) => {
  app.get(
    '/reports',
    {
      schema: {
        tags,
        summary: 'What devices measured, newest first',
        querystring: ReportQuery,
        response: { 200: PageOf(Report) },
      },
    },
    async ({ query }) => telemetry.reports(query),
  )

  app.get(
    '/latency',
    {
      schema: {
        tags,
        summary: 'Latency percentiles by device, board, model or variant over a time range',
        querystring: LatencyQuery,
        response: { 200: Latency },
      },
    },
    async ({ query }) => telemetry.latency(query),
  )
}
