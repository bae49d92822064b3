import './thrift.js'
import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { createServer as createHttpsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { EspalierError, formatBytes } from '@espalier/shared'
import { topic } from '@espalier/shared/topics.js'
import type { FastifyInstance } from 'fastify'
import type { Logger } from 'pino'
import { type Broker, EmbeddedBroker, OutsideBroker } from './broker/index.js'
import { ArtifactStore, Datasets, Models, Variants } from './catalog/index.js'
import { Compilations } from './compilations/index.js'
import type { Config } from './config.js'
import { BlockServer, Catalogues, freshRoots, serviceKeys, writeSecret } from './delivery/index.js'
import { Events } from './events.js'
import { Fleet } from './fleet/index.js'
import { buildApp, builtDashboard } from './http/app.js'
import { metricsOf } from './metrics.js'
import { offersOf } from './offers.js'
import { Retention, type Swept } from './retention/index.js'
import { lockFolder, openDatabase, prepareFolder, storeError } from './store/index.js'
import { Boards, ReportIntake, ReportStore, Telemetry } from './telemetry/index.js'
import { type Certificates, certificates } from './tls/certificates.js'

export interface Service {
  /** Where the dashboard and the HTTP API are. */
  readonly url: string
  /** Where devices connect. */
  readonly mqttUrl: string
  /** Where other machines find the dashboard and the HTTP API; null without TLS. */
  readonly secureUrl: string | null
  /** Ends everything in order; what runs is interrupted, what was stored stays. */
  close(): Promise<void>
}

const reading = { timeMs: 120_000, memoryBytes: 4 * 2 ** 30 }
const heartbeatMs = 15_000
const hourMs = 3600 * 1000
const dayMs = 24 * hourMs

/**
 * The composition root: builds every part from the settings, wires them, and listens.
 * @throws CONFIG_INVALID, DATABASE_NEWER, DATABASE_INVALID, KEY_INVALID, PORT_TAKEN, STATE_LOCKED, BROKER_UNREACHABLE, DISK_FULL
 */
export async function startService(config: Config, log: Logger): Promise<Service> {
  const undo: (() => unknown)[] = []
  const close = async () => {
    for (const step of undo.splice(0).reverse()) await step()
  }
  try {
    prepareFolder(config.data)
    undo.push(lockFolder(config.data))
    const inData = (name: string) => join(config.data, name)
    const host = config.insecureLan ? '0.0.0.0' : '127.0.0.1'
    const names = config.tlsName ? config.tlsName.split(',') : []
    const tls = config.tls ? await certificates(config.tls, inData('tls'), names) : undefined
    const name = names[0] ?? hostname()

    const db = openDatabase(inData('espalier.db'))
    undo.push(() => db.close())
    const events = new Events()
    const { signing: key, secret, rootKey } = serviceKeys(config.data)
    const artifacts = new ArtifactStore(inData('artifacts'))
    const uploads = { uploadBytes: config.upload, reading }
    const models = new Models(db, artifacts, events, uploads)
    const datasets = new Datasets(db, artifacts, uploads)
    const variants = new Variants(db, events)
    const boards = new Boards(db)
    const compilations = new Compilations({
      ...{ db, models, datasets, variants, artifacts, events, boards },
      worker: new URL('./compilations/worker.js', import.meta.url),
      folder: inData('compilations'),
      limits: { timeMs: config.compileMinutes * 60_000, memoryBytes: config.compileMemory },
    })

    const broker: Broker = config.broker
      ? new OutsideBroker({ url: config.broker, log })
      : new EmbeddedBroker({
          ...{ host, port: config.mqttPort, insecureLan: config.insecureLan, log },
          secure: tls && { ...tls, port: config.mqttsPort, name },
          authenticate: (device, password) => fleet.admission.authenticate(device, password),
          admitsClaim: (token) => fleet.admission.admitsClaim(token),
        })
    const catalogues = new Catalogues({ db, broker, key, artifacts, offers: offersOf(variants) })
    const reports = new ReportStore(db, events)
    const fleet = new Fleet({
      ...{ db, broker, key, secret, rootKey, catalogues, events, log, ca: tls?.ca ?? null },
      latestReport: (device, variant) => reports.latest(device, variant),
      nameOf: (digest) => variants.nameOf(digest),
    })
    new ReportIntake(broker, reports)
    new BlockServer({ broker, artifacts, log, offered: (digest) => catalogues.offered(digest) })
    const publish = (model: string, version: number) =>
      catalogues.publish(model, version).then(
        (published) => fleet.catalogueChanged(published),
        (err) =>
          log.error({ model, version, err }, 'a catalogue could not be published; the one before stays'),
      )
    events.watch((event) => {
      if (event.type !== 'variants.changed') return
      void publish(event.model, event.version)
    })

    const app = await buildApp({
      parts: {
        ...{
          db,
          secret,
          models,
          datasets,
          variants,
          compilations,
          artifacts,
          events,
          fleet,
          boards,
          heartbeatMs,
        },
        admission: fleet.admission,
        telemetry: new Telemetry(db),
        metrics: metricsOf(db),
        ready: () => void db.prepare('SELECT 1').get(),
      },
      logger: log,
      dashboard: builtDashboard,
      token: config.token || tokenOf(inData('token')),
    })
    undo.push(() => app.close())
    fleet.forgetPresence()
    await broker.start()
    undo.push(() => reports.flush())
    undo.push(() => broker.close())
    const restore = async () => {
      await broker.retain(topic('keys', {}), freshRoots(config.data, log, Date.now()))
      await catalogues.restore()
      for (const { model, version } of variants.versions()) await publish(model, version) // what a crash left out
      fleet.restore()
    }
    await restore()
    const forget = () =>
      config.keepReports > 0 &&
      reports
        .forget(Date.now() - config.keepReports * dayMs)
        .then((gone) => gone > 0 && log.info({ gone }, 'old reports were removed'))
        .catch((err) => log.error({ err }, 'old reports could not be removed'))
    forget()
    const daily = setInterval(() => {
      restore().catch((err) => log.error({ err }, 'documents could not be published anew'))
      forget()
    }, dayMs)
    undo.push(() => clearInterval(daily))
    const retention = new Retention({
      ...{ db, variants, artifacts, published: () => catalogues.settled() },
      ...{ keepMs: config.keepUnused * dayMs, keepBytes: config.keepUnusedBytes },
    })
    undo.push(() => retention.close())
    const sweep = () =>
      retention.sweep().then(
        (swept) => tellSwept(swept, log),
        (err) => log.error({ err }, 'what nothing refers to could not be removed'),
      )
    void sweep()
    const hourly = setInterval(sweep, hourMs)
    undo.push(() => clearInterval(hourly))
    const url = await listen(app, host, config.port)
    const secureUrl = tls ? await listenSecurely(app, tls, name, config.tlsPort, undo) : null
    compilations.start()
    undo.push(() => compilations.stop())
    log.info({ url, secureUrl, mqtt: broker.url, data: config.data }, 'the service is up')
    return { url, secureUrl, mqttUrl: broker.url, close }
  } catch (thrown) {
    await close()
    throw storeError(thrown)
  }
}

function tellSwept(swept: Swept, log: Logger): void {
  if (swept.variants + swept.files === 0) return
  log.info(
    swept,
    `removed what nothing refers to: ${swept.variants} variants, ${formatBytes(swept.bytes)} of files`,
  )
}

/** The token that callers from other machines need, made on first use. @throws CONFIG_INVALID for a file that was emptied */
function tokenOf(path: string): string {
  if (!existsSync(path)) writeSecret(path, randomBytes(24).toString('base64url'))
  const token = readFileSync(path, 'utf8').trim()
  if (token !== '') return token
  throw new EspalierError('CONFIG_INVALID', `${path} is empty; remove it, and a new token is made`)
}

async function listen(app: FastifyInstance, host: string, port: number): Promise<string> {
  await app.listen({ host, port }).catch((cause) => {
    throw portError('--port', port, cause)
  })
  return `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`
}

/** The same routes, with TLS, on all addresses. */
async function listenSecurely(
  app: FastifyInstance,
  { key, cert }: Certificates,
  name: string,
  port: number,
  undo: (() => unknown)[],
): Promise<string> {
  const server = createHttpsServer({ key, cert, minVersion: 'TLSv1.2' }, (request, reply) =>
    app.routing(request, reply),
  )
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => reject(portError('--tls-port', port, cause)))
    server.listen(port, resolve)
  })
  undo.push(() => {
    server.closeAllConnections()
    return new Promise((resolve) => server.close(resolve))
  })
  return `https://${name.includes(':') ? `[${name}]` : name}:${(server.address() as AddressInfo).port}`
}

function portError(flag: string, port: number, cause: unknown): unknown {
  const code = cause instanceof Error && 'code' in cause ? cause.code : ''
  if (code !== 'EADDRINUSE' && code !== 'EACCES') return cause
  return new EspalierError(
    'PORT_TAKEN',
    code === 'EACCES'
      ? `port ${port} needs rights that this user does not have; choose one above 1023 with ${flag}`
      : `port ${port} is taken by another program; choose another with ${flag}, or ${flag} 0 for a free one`,
    { cause },
  )
}
