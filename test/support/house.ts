import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { ArtifactStore, Models, Variants } from '@espalier/server/catalog/index.js'
import { Queue } from '@espalier/server/compilations/queue.js'
import { StageLog } from '@espalier/server/compilations/stages.js'
import { writeModel } from '@espalier/server/compiler/onnx/index.js'
import { readConfig } from '@espalier/server/config.js'
import { Events } from '@espalier/server/events.js'
import type { Variant, VariantFigures } from '@espalier/server/http/schemas/index.js'
import { type Service, startService } from '@espalier/server/main.js'
import { openDatabase } from '@espalier/server/store/index.js'
import {
  encode,
  type Facts,
  facts,
  presence,
  type Report,
  type Reported,
  reported,
  reports,
  type UnmetWish,
  wish,
} from '@espalier/shared/messages/index.js'
import { topic } from '@espalier/shared/topics.js'
import pino from 'pino'
import type { Test } from 'tap'
import { reportOf } from './centre.js'
import { connectDevice } from './mqtt.js'
import { flatNetwork } from './networks.js'

/** The whole service on free ports, or on `port`; it ends with the test. */
export async function serve(t: Test, data: string, port = 0): Promise<Service> {
  const config = readConfig({ data, port: String(port), mqttPort: '0' })
  const service = await startService(config, pino({ level: 'silent' }))
  t.teardown(() => service.close())
  return service
}

export interface Furnished {
  readonly variants: readonly Variant[]
  /** Of a compilation that is done, and of one that failed. */
  readonly done: string
  readonly failed: string
}

export const figuresOf = (memoryMB: number, top1: number | null, p50Ms: number | null): VariantFigures => ({
  memoryBudgetBytes: memoryMB * 1e6,
  macs: memoryMB * 2e6,
  params: memoryMB * 1e5,
  fileBytes: memoryMB * 4e5,
  artifactBytes: memoryMB * 36e4,
  predictedRamBytes: memoryMB * 0.93e6,
  measuredRamBytes: memoryMB * 0.96e6,
  top1,
  n: 10_000,
  agreement: 0.99,
  p50Ms,
  recipe: 'fit',
})

/** Fills a data folder, while no service runs on it, with a model of two versions and what was compiled of the second. */
export async function furnish(data: string): Promise<Furnished> {
  const db = openDatabase(join(data, 'espalier.db'))
  const events = new Events()
  const artifacts = new ArtifactStore(join(data, 'artifacts'))
  const limits = { uploadBytes: 2 ** 20, reading: { timeMs: 20_000, memoryBytes: 2 ** 30 } }
  const models = new Models(db, artifacts, events, limits)
  models.create({ id: 'digits', name: 'Handwritten digits' })
  for (const classes of [9, 10]) {
    const file = writeModel(flatNetwork(['batch', 1, 28, 28], classes))
    await models.addVersion('digits', Readable.from([file]))
  }
  const queue = new Queue(db)
  const request = { model: 'digits', memoryBytes: [8e6, 4e6, 2e6], data: 'mnist-train', eval: 'mnist-test' }
  const start = Date.now() - 600_000
  queue.add('c-failed', 2, request, start)
  queue.next(start)
  const error = { code: 'BUDGET_UNREACHABLE', message: 'memory budget 2 MB is below 3 MB; raise it' }
  queue.end('c-failed', 'failed', start + 4000, { error })
  queue.add('c-done', 2, request, start + 5000)
  queue.next(start + 5000)
  const log = new StageLog()
  for (let done = 1; done <= 40; done++) {
    const training = { loss: 2 / done, accuracy: 1 - 1 / (done + 1) }
    log.add({ stage: 'fine-tune', variant: 'digits-8MB', done, total: 40, ...training }, start + 6000 + done)
  }
  const last = {
    stage: 'measure',
    variant: 'digits-8MB',
    done: 5,
    total: 5,
    message: 'largest of 5 processes',
  }
  log.add(last, start + 90_000)
  queue.note('c-done', last, log.stages)
  const dense = { top1: 0.9934, macs: 31e6, params: 1.3e6, measuredRamBytes: 11e6, p50Ms: 2.1 }
  const frontier = [0, 0.4, 0.7, 0.9, 1].map((saliency, i) => ({
    memoryBytes: 2e6 + 2.25e6 * i,
    saliency,
    macs: i / 4,
    params: i / 4,
  }))
  queue.end('c-done', 'done', start + 95_000, { dense, frontier, report: '# What was done' })

  const variants = new Variants(db, events)
  const made = [
    ['digits-8MB', figuresOf(8, 0.9925, 1.4)],
    ['digits-4MB', figuresOf(4, 0.9871, 0.62)],
    ['digits-2MB', figuresOf(2, 0.9688, 0.31)],
    ['digits-unmeasured', figuresOf(3, null, null)],
  ] as const
  const ports = {
    inputs: [{ name: 'x', dtype: 'float32', shape: ['batch', 1, 28, 28] }],
    outputs: [{ name: 'y', dtype: 'float32', shape: ['batch', 10] }],
    preprocess: null,
    labels: null,
  }
  const of = { model: 'digits', version: 2, compilation: 'c-done' }
  const ids: string[] = []
  for (const [name, figures] of made) {
    const path = join(data, name)
    writeFileSync(path, name)
    const staged = await artifacts.take(path)
    await staged.keep()
    const { digest } = staged
    ids.push(...variants.add([{ name, ...of, digest, figures, ports }]))
  }
  variants.withdraw(ids[2])
  const all = ids.map((id) => variants.get(id))
  db.close()
  return { variants: all, done: 'c-done', failed: 'c-failed' }
}

/** A device's side of the wire, as an agent speaks it. */
export interface Visitor {
  readonly id: string
  readonly says: (facts: Partial<Facts>, state: Partial<Reported>) => Promise<void>
  readonly reports: (...reports: Partial<Report>[]) => Promise<void>
  readonly wishes: (unmet: UnmetWish | null) => Promise<void>
  readonly leaves: () => Promise<void>
}

const board: Facts = {
  board: 'Raspberry Pi 4 Model B Rev 1.4',
  soc: 'bcm2711',
  arch: 'arm64',
  cpu: 'Cortex-A72',
  cores: 4,
  memoryBytes: 4e9,
  memoryLimitBytes: null,
  memoryBudgetBytes: 9e6,
  p95LimitMs: null,
  kernel: '6.6.31',
  os: 'Debian 12',
  powerMode: null,
  executionProviders: ['cpu'],
  runtime: 'onnxruntime-node',
  runtimeVersion: '1.30.0',
  agentVersion: '0.1.0',
  labels: { site: 'hall' },
}

/** Registers a device over HTTP. @returns what connects it over MQTT */
export async function register(t: Test, service: Service, id: string): Promise<() => Promise<Visitor>> {
  const response = await fetch(`${service.url}/v1/devices`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ id }),
  })
  const { password } = (await response.json()) as { password: string }
  return async () => {
    const { client } = await connectDevice(service.mqttUrl, id, password)
    t.teardown(() => client.end(true))
    let sent = 0
    const publish = (name: 'presence' | 'facts' | 'reported', payload: Buffer | string) =>
      client.publishAsync(topic(name, { device: id }), Buffer.from(payload), { qos: 1, retain: true })
    await publish('presence', encode(presence, { online: true, epoch: 1, agentVersion: '0.1.0' }))
    return {
      id,
      says: async (known, state) => {
        await publish('facts', encode(facts, { ...board, ...known }))
        const rest = { active: null, previous: null, candidate: null, error: null, at: Date.now() }
        await publish('reported', encode(reported, { revision: 1, state: 'active', ...rest, ...state }))
      },
      wishes: async (unmet) => {
        await client.publishAsync(topic('wish', { device: id }), encode(wish, { wish: unmet }), { qos: 1 })
      },
      reports: async (...list) => {
        const full = list.map((values) =>
          reportOf(id, `r${sent++}`, { at: Date.now(), version: 2, ...values }),
        )
        const payload = encode(reports, { reports: full })
        await client.publishAsync(topic('reports', { device: id, n: sent }), Buffer.from(payload), { qos: 1 })
      },
      leaves: async () => {
        await publish('presence', encode(presence, { online: false, epoch: 1 }))
        await client.endAsync()
      },
    }
  }
}

/** The whole service with a model, its variants, and two devices, gate-1 and gate-2, that have reported. */
export async function visited(t: Test): Promise<Furnished & { readonly service: Service }> {
  const data = t.testdir()
  const furnished = await furnish(data)
  const service = await serve(t, data)
  const [large, medium, withdrawn] = furnished.variants
  const held = ({ digest }: Variant) => ({ model: 'digits', version: 2, variant: digest })
  for (const [id, variant, memoryBudgetBytes] of [
    ['gate-1', large, 9e6],
    ['gate-2', medium, 4e6],
  ] as const) {
    const visitor = await (await register(t, service, id))()
    await visitor.says({ memoryBudgetBytes }, { active: held(variant), previous: held(withdrawn) })
    const slower = id === 'gate-1' ? 3 : 4.4
    await visitor.reports(
      ...[0, 1, 2, 3].map((n) => ({
        variant: variant.digest,
        at: Date.now() - 60_000 * (4 - n),
        p50Ms: variant.p50Ms! * slower + n / 100,
        p95Ms: variant.p50Ms! * slower * 1.2,
        throttled: n === 2,
      })),
      {
        variant: withdrawn.digest,
        at: Date.now() - 400_000,
        p50Ms: withdrawn.p50Ms! * slower,
        top1: withdrawn.top1,
      },
    )
  }
  return { ...furnished, service }
}
