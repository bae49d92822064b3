import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import fastifyStatic from '@fastify/static'
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import { TypeBoxValidatorCompiler } from '@fastify/type-provider-typebox'
import Fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  LogController,
  type RouteOptions,
} from 'fastify'

import { type BoardsRoutePart, boards } from './boards.js'
import { type CompilationsPart, compilations } from './compilations.js'
import { type DatasetsPart, datasets } from './datasets.js'
import { type DevicesPart, devices } from './devices.js'
import { enrolmentTokens } from './enrolment-tokens.js'
import { type EventsPart, events } from './events.js'
import { type Guarded, guard } from './guard.js'
import { type HealthPart, health } from './health.js'
import { type IdempotencyPart, idempotency } from './idempotency.js'
import { type ModelsPart, models } from './models.js'
import { handleProblems } from './problems.js'
import { type ReportsPart, reports } from './reports.js'
import { Problem } from './schemas/index.js'
import { type VariantsPart, variants } from './variants.js'

/** The parts of the service that routes call. */
export type Parts = BoardsRoutePart &
  CompilationsPart &
  DatasetsPart &
  DevicesPart &
  EventsPart &
  HealthPart &
  IdempotencyPart &
  ModelsPart &
  ReportsPart &
  VariantsPart

export interface AppOptions extends Guarded {
  readonly parts: Parts
  readonly logger: FastifyBaseLogger
  /** Folder of the dashboard's built files; without it `/` answers 404. */
  readonly dashboard: string
}

/** JSON bodies are small; files go through uploads, which have their own limit. */
const bodyLimit = 1024 * 1024

/** The whole HTTP side, ready to listen. */
export async function buildApp({
  parts,
  logger,
  dashboard,
  ...guarded
}: AppOptions): Promise<FastifyInstance> {
  const app: FastifyInstance = Fastify({
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit,
    forceCloseConnections: true,
    routerOptions: { maxParamLength: 128 },
  })
  app.setValidatorCompiler(TypeBoxValidatorCompiler)
  handleProblems(app)
  guard(app, guarded)
  app.addContentTypeParser('application/octet-stream', (_request, payload, done) => done(null, payload))
  app.addHook('onRoute', (route) => {
    if (route.url.startsWith('/v1'))
      route.schema = { ...route.schema, response: { ...responses(route), default: Problem } }
  })
  await app.register(swagger, {
    openapi: {
      info: {
        title: 'Espalier',
        description: 'Fits one neural network to every device of a fleet.',
        version: '1',
      },
    },
  })
  await app.register(swaggerUi, { routePrefix: '/docs' })
  await app.register(health, parts)
  await app.register(
    async (v1) => {
      idempotency(v1, parts)
      await v1.register(models, { ...parts, prefix: '/models' })
      await v1.register(datasets, { ...parts, prefix: '/datasets' })
      await v1.register(variants, { ...parts, prefix: '/variants' })
      await v1.register(compilations, { ...parts, prefix: '/compilations' })
      await v1.register(devices, parts)
      await v1.register(enrolmentTokens, { ...parts, prefix: '/enrolment-tokens' })
      await v1.register(reports, parts)
      await v1.register(boards, { ...parts, prefix: '/boards' })
      await v1.register(events, { ...parts, prefix: '/events' })
    },
    { prefix: '/v1' },
  )
  if (existsSync(dashboard)) await app.register(fastifyStatic, { root: dashboard })
  return app
}

const responses = (route: RouteOptions) => route.schema?.response as Record<string, unknown> | undefined

/** Where the build puts the dashboard. */
export const builtDashboard = fileURLToPath(new URL('../dashboard', import.meta.url))
