import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join, resolve } from 'node:path'
import { Readable } from 'node:stream'
import { type Credential, credentialOf } from '@espalier/agent/credential.js'
import { ArtifactStore, Models, Variants } from '@espalier/server/catalog/index.js'
import { Events } from '@espalier/server/events.js'
import { openDatabase } from '@espalier/server/store/index.js'
import { type Answer, call } from '../../support/service.js'
import { networkBytes, type TestModel } from './models.js'

const program = resolve('server/dist/cli/main.js')

/**
 * Files the models as variants of version 1 of `digits`, and those of `next` of a version 2, as compilations would have,
 * in a folder for `up`.
 */
export async function fill(
  data: string,
  dense: Buffer,
  models: readonly TestModel[],
  next: readonly TestModel[] = [],
): Promise<void> {
  const db = openDatabase(join(data, 'espalier.db'))
  const events = new Events()
  const artifacts = new ArtifactStore(join(data, 'artifacts'))
  const limits = { uploadBytes: 2 ** 30, reading: { timeMs: 60_000, memoryBytes: 2 ** 31 } }
  const catalog = new Models(db, artifacts, events, limits)
  catalog.create({ id: 'digits' })
  await catalog.addVersion('digits', Readable.from([dense]))
  if (next.length > 0) await catalog.addVersion('digits', Readable.from([networkBytes(65)]))
  for (const { bytes } of [...models, ...next]) {
    const staged = await artifacts.receive(Readable.from([bytes]), 2 ** 30)
    await staged.keep()
  }
  const unknown = {
    macs: null,
    params: null,
    predictedRamBytes: null,
    agreement: null,
    p50Ms: null,
    recipe: null,
  }
  const all = [...models.map((m) => [m, 1] as const), ...next.map((m) => [m, 2] as const)]
  new Variants(db, events).add(
    all.map(
      ([
        {
          bytes,
          variant: { name, digest, top1, memoryBudgetBytes, measuredRamBytes, golden },
        },
        version,
      ]) => ({
        ...{ name, digest, model: 'digits', version, compilation: null },
        figures: {
          ...unknown,
          ...{ memoryBudgetBytes, measuredRamBytes, top1: top1?.value ?? null, n: top1?.n ?? null },
          ...{ fileBytes: bytes.length, artifactBytes: bytes.length },
        },
        ports: { inputs: [], outputs: [], preprocess: null, labels: null, golden },
      }),
    ),
  )
  db.close()
}

/** `espalier up` as a process that may be killed and started again on the same ports. */
export class ServiceProcess {
  url = ''
  #mqttPort = '0'
  #port = '0'
  #child: ChildProcess | null = null

  /** @param flags more of what `up` takes, such as an outside broker */
  constructor(
    readonly data: string,
    readonly flags: readonly string[] = [],
  ) {}

  async start(): Promise<void> {
    const ports = ['--port', this.#port, '--mqtt-port', this.#mqttPort]
    const args = ['up', '--data', this.data, ...ports, ...this.flags, '--log-level', 'error', '--json']
    const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
    this.#child = child
    const [line] = await once(child.stdout!, 'data')
    const { url, mqttUrl }: { url: string; mqttUrl: string } = JSON.parse(String(line))
    this.url = url
    this.#port = new URL(url).port
    this.#mqttPort = new URL(mqttUrl).port
  }

  get pid(): number {
    return this.#child!.pid!
  }

  /** Where the embedded broker listens; the same after every start. */
  get mqttPort(): number {
    return Number(this.#mqttPort)
  }

  async end(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#child
    this.#child = null
    if (!child || child.exitCode !== null) return
    const ended = once(child, 'exit')
    child.kill(signal)
    await ended
  }

  call(method: string, path: string, body?: object): Promise<Answer> {
    return call(this.url, method, `/v1${path}`, body)
  }

  /** Registers a device and says that it should serve the model. */
  async device(id: string): Promise<Credential> {
    const { body } = await this.call('POST', '/devices', { id })
    await this.call('PUT', `/devices/${id}/assignment`, { model: 'digits' })
    return credentialOf(body, `the answer for ${id}`)
  }

  /** The ids of all stored reports, as often as they are stored. */
  async reportIds(): Promise<string[]> {
    const ids: string[] = []
    for (let cursor = ''; ; ) {
      const { body } = await this.call('GET', `/reports?limit=100${cursor && `&cursor=${cursor}`}`)
      ids.push(...body.items.map((r) => String(r.id)))
      if (!body.next) return ids
      cursor = encodeURIComponent(String(body.next))
    }
  }
}
