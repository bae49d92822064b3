import { once } from 'node:events'
import { join } from 'node:path'
import { ArtifactStore, Datasets, Models, Variants } from '@espalier/server/catalog/index.js'
import { Compilations } from '@espalier/server/compilations/index.js'
import { serviceKeys } from '@espalier/server/delivery/index.js'
import { Events } from '@espalier/server/events.js'
import { buildApp, type Parts } from '@espalier/server/http/app.js'
import type { AdmissionPart, FleetPart, TelemetryPart } from '@espalier/server/http/parts.js'
import { metricsOf } from '@espalier/server/metrics.js'
import { openDatabase } from '@espalier/server/store/index.js'
import { Boards } from '@espalier/server/telemetry/index.js'
import { EspalierError } from '@espalier/shared'
import pino from 'pino'

export interface Options {
  worker?: URL
  uploadBytes?: number
  compileMs?: number
  compileBytes?: number
  heartbeatMs?: number
  /** Folder of the dashboard's files; none by default. */
  dashboard?: string
}

const nobody = (id: string): never => {
  throw new EspalierError('DEVICE_UNKNOWN', `there is no device '${id}'`)
}
const none = () => ({ items: [], next: null })

/** A fleet without devices, for what is tested without a broker. */
const emptyFleet: FleetPart = {
  devices: none,
  device: nobody,
  assign: nobody,
  command: nobody,
  logs: nobody,
  groups: none,
  group: nobody,
  setGroup: nobody,
  assignGroup: nobody,
}
const emptyAdmission: AdmissionPart = {
  create: ({ id }) => nobody(id),
  revoke: nobody,
  retire: nobody,
  rotate: nobody,
  createToken: () => nobody('any'),
  tokens: none,
  revokeToken: nobody,
}
const emptyTelemetry: TelemetryPart = { reports: none, latency: ({ by = 'device' }) => ({ by, items: [] }) }

/** The HTTP side with catalogue and compilations on a real database, listening on a free port. */
export async function listen(folder: string, options: Options = {}) {
  const db = openDatabase(join(folder, 'espalier.db'))
  const events = new Events()
  const artifacts = new ArtifactStore(join(folder, 'artifacts'))
  const uploadBytes = options.uploadBytes ?? 64 * 2 ** 20
  const reading = { timeMs: 20_000, memoryBytes: 2 ** 30 }
  const models = new Models(db, artifacts, events, { uploadBytes, reading })
  const datasets = new Datasets(db, artifacts, { uploadBytes, reading })
  const variants = new Variants(db, events)
  const boards = new Boards(db)
  const compilations = new Compilations({
    ...{ db, models, datasets, variants, artifacts, events, boards },
    worker: options.worker ?? new URL('./workers/done.mjs', import.meta.url),
    folder: join(folder, 'compilations'),
    limits: { timeMs: options.compileMs ?? 20_000, memoryBytes: options.compileBytes ?? 2 ** 30 },
  })
  const parts: Parts = {
    ...{ db, models, datasets, variants, compilations, artifacts, events, boards },
    secret: serviceKeys(folder).secret,
    ...{ fleet: emptyFleet, admission: emptyAdmission, telemetry: emptyTelemetry, metrics: metricsOf(db) },
    heartbeatMs: options.heartbeatMs ?? 15_000,
    ready: () => void db.prepare('SELECT 1').get(),
  }
  const logger = pino({ level: 'silent' })
  const app = await buildApp({
    parts,
    logger,
    dashboard: options.dashboard ?? join(folder, 'none'),
    token: 'secret',
  })
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  compilations.start()
  return {
    url,
    parts,
    compilations,
    events,
    close: async () => {
      await compilations.stop()
      await app.close()
      db.close()
    },
  }
}

export type Answer = { status: number; body: Record<string, unknown> & { items: Record<string, unknown>[] } }

/** Calls the API; an object is sent as JSON, bytes as an upload. */
export async function call(
  url: string,
  method: string,
  path: string,
  body?: object | Uint8Array,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const upload = body instanceof Uint8Array
  const response = await fetch(url + path, {
    method,
    headers: {
      ...(body && { 'content-type': upload ? 'application/octet-stream' : 'application/json' }),
      ...headers,
    },
    body: upload ? Uint8Array.from(body) : body && JSON.stringify(body),
  })
  const text = await response.text()
  return { status: response.status, body: text ? JSON.parse(text) : null } as Answer
}

/** Resolves with the first event that `wanted` accepts. */
export async function eventually(events: Events, wanted: (event: Record<string, unknown>) => boolean) {
  const controller = new AbortController()
  const found = new EventTarget()
  const unwatch = events.watch((e) => wanted({ ...e }) && found.dispatchEvent(new Event('found')))
  const timer = setTimeout(() => controller.abort(), 20_000)
  await once(found, 'found', { signal: controller.signal })
  clearTimeout(timer)
  unwatch()
}
