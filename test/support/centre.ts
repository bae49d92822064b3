import { createHash, createSecretKey, generateKeyPairSync, randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { EmbeddedBroker } from '@espalier/server/broker/index.js'
import {
  type Artifacts,
  BlockServer,
  type BlockServerOptions,
  Catalogues,
  type Offer,
} from '@espalier/server/delivery/index.js'
import { Events } from '@espalier/server/events.js'
import { Fleet } from '@espalier/server/fleet/index.js'
import { type Database, openDatabase } from '@espalier/server/store/index.js'
import { ReportIntake, ReportStore, Telemetry } from '@espalier/server/telemetry/index.js'
import type { Report } from '@espalier/shared/messages/index.js'
import { publicKeyText } from '@espalier/shared/signing.js'
import { connectDevice, Log, type TestDevice } from './mqtt.js'

export const { privateKey, publicKey } = generateKeyPairSync('ed25519')
const secret = createSecretKey(randomBytes(32))

interface Settings {
  /** A database to go on with. */
  db?: Database
  folder?: string
  port?: number
  now?: () => number
  crowd?: BlockServerOptions['crowd']
}

/** What is asked of a test, so that a benchmark may stand in. */
export interface Scope {
  teardown(end: () => unknown): void
  testdir(): string
}

interface Centre {
  db: Database
  folder: string
  log: Log
  events: Events
  offers: Offer[]
  artifacts: Artifacts
  broker: EmbeddedBroker
  catalogues: Catalogues
  blocks: BlockServer
  reports: ReportStore
  fleet: Fleet
  telemetry: Telemetry
  /** Puts an artifact of random bytes on disk and offers it. */
  offer: (name: string, bytes?: number) => { digest: string; data: Buffer }
  /** Creates a device and connects it. */
  join: (id: string) => Promise<TestDevice>
}

/** Broker, delivery, fleet and telemetry wired together as the service wires them, on a database in memory. */
export async function centre(
  t: Scope,
  { db = openDatabase(':memory:'), folder = t.testdir(), port = 0, now, crowd }: Settings = {},
): Promise<Centre> {
  const log = new Log()
  const events = new Events()
  const offers: Offer[] = []
  const artifacts = { path: (digest: string) => join(folder, digest) }
  const broker = new EmbeddedBroker({
    host: '127.0.0.1',
    ...{ port, log, now },
    probeMs: 500,
    authenticate: (device, password) => fleet.admission.authenticate(device, password),
    admitsClaim: (token) => fleet.admission.admitsClaim(token),
  })
  const catalogues = new Catalogues({ db, broker, key: privateKey, artifacts, now, offers: () => offers })
  const blocks = new BlockServer({
    ...{ broker, artifacts, log, crowd },
    offered: (digest) => catalogues.offered(digest),
  })
  const reports = new ReportStore(db, events, now)
  new ReportIntake(broker, reports)
  const fleet = new Fleet({
    ...{ db, broker, key: privateKey, secret, catalogues, events, log, now },
    rootKey: publicKeyText(publicKey),
    latestReport: (device, variant) => reports.latest(device, variant),
    nameOf: (digest) => offers.find((offer) => offer.digest === digest)?.name ?? null,
  })
  fleet.forgetPresence()
  await broker.start()
  await catalogues.restore()
  fleet.restore()
  t.teardown(() => broker.close())

  const offer = (name: string, bytes = 100_000): { digest: string; data: Buffer } => {
    const data = randomBytes(bytes)
    const digest = createHash('sha256').update(data).digest('hex')
    writeFileSync(artifacts.path(digest), data)
    offers.push(offerOf(name, digest))
    return { digest, data }
  }
  const join_ = async (id: string): Promise<TestDevice> => {
    const { password } = fleet.admission.create({ id })
    const device = await connectDevice(broker.url, id, password)
    t.teardown(() => device.client.end(true))
    return device
  }
  return {
    db,
    folder,
    log,
    events,
    offers,
    artifacts,
    broker,
    catalogues,
    blocks,
    reports,
    fleet,
    telemetry: new Telemetry(db),
    offer,
    join: join_,
  }
}

export const offerOf = (name: string, digest: string): Offer => ({
  name,
  digest,
  memoryBudgetBytes: 4_000_000,
  predictedRamBytes: 3_500_000,
  measuredRamBytes: 3_600_000,
  macs: 1_000_000,
  params: 90_000,
  top1: { value: 0.99, n: 10_000 },
  inputs: [{ name: 'image', dtype: 'float32', shape: ['batch', 1, 28, 28] }],
  outputs: [{ name: 'logits', dtype: 'float32', shape: ['batch', 10] }],
  preprocess: { scale: 1 / 255, mean: [0], std: [1], layout: 'NCHW' },
  labels: ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'],
})

export const reportOf = (device: string, id: string, values: Partial<Report> = {}): Report => ({
  id,
  device,
  model: 'digits',
  version: 1,
  variant: 'ab'.repeat(32),
  board: 'Raspberry Pi 4 Model B',
  at: Date.UTC(2026, 0, 1),
  runs: 200,
  p50Ms: 2,
  p90Ms: 2.4,
  p95Ms: 2.5,
  p99Ms: null,
  measuredRamBytes: 3_600_000,
  runtimeBaseBytes: 50_000_000,
  processBytes: 53_600_000,
  coldLoadMs: 12,
  threads: 1,
  providerRequested: 'cpu',
  provider: 'cpu',
  runtime: 'onnxruntime-node',
  runtimeVersion: '1.30.0',
  throttled: false,
  temperatureC: null,
  governor: 'performance',
  powerMode: null,
  top1: 0.99,
  ...values,
})
