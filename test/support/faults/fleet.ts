import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { random } from '@espalier/server/compiler/data/index.js'
import type { Reported } from '@espalier/shared/messages/index.js'
import { answers, withGolden } from '../../agent/support/golden.js'
import { networkBytes, type TestModel, testModel } from '../../agent/support/models.js'
import { AgentProcess, soon } from '../../agent/support/process.js'
import { fill, ServiceProcess } from '../../agent/support/service-process.js'
import type { Outcome } from './run.js'
import { Wire } from './wire.js'

const CALM_MS = 90_000
const top1 = (value: number) => ({ value, n: 10_000 })
const clock = resolve('test/support/faults/clock.mjs')

/** Two variants each of two versions, the better one larger. */
const plain = {
  first: [testModel('small', 64, { top1: top1(0.9) }), testModel('large', 400, { top1: top1(0.95) })],
  second: [testModel('small2', 72, { top1: top1(0.91) }), testModel('large2', 416, { top1: top1(0.96) })],
}

interface Device {
  readonly id: string
  readonly agent: AgentProcess
  readonly wire: Wire
  readonly offset: string
}

/** A service and two agents as processes, each agent behind a bad wire of its own. */
export class Fleet {
  readonly #devices: Device[] = []
  readonly #highest = new Map<string, number>()
  readonly #wrong = new Set<string>()
  readonly #watch = setInterval(() => this.#look(), 30)
  #version: 1 | 2 = 1

  private constructor(
    readonly models: { first: TestModel[]; second: TestModel[] },
    readonly service: ServiceProcess,
    /** From which the faults follow; what wires do with packets is drawn apart, since packets come as they come. */
    readonly random: () => number,
  ) {}

  static async start(folder: string, seed: number): Promise<Fleet> {
    const data = join(folder, 'data')
    mkdirSync(data)
    const models = {
      first: await withGolden(plain.first, folder),
      second: await withGolden(plain.second, folder),
    }
    await fill(data, networkBytes(64), models.first, models.second)
    const service = new ServiceProcess(data)
    await service.start()
    const fleet = new Fleet(models, service, random(seed))
    for (const [i, id] of ['one', 'two'].entries()) {
      const credential = await service.device(id)
      const wire = new Wire(random(seed * 2 + i))
      const broker = `mqtt://127.0.0.1:${await wire.open(service.mqttPort)}`
      const device = {
        id,
        agent: new AgentProcess({ ...credential, broker }),
        wire,
        offset: join(folder, `${id}.offset`),
      }
      fleet.#devices.push(device)
      fleet.#start(device)
    }
    return fleet
  }

  #start({ agent, offset }: Device): void {
    const env = { NODE_OPTIONS: `--import=${clock}`, CLOCK_OFFSET: offset }
    agent.start(['--memory', '100MB', '--every', '400ms'], soon, env)
  }

  get #any(): Device {
    return this.#devices[Math.floor(this.random() * this.#devices.length)]
  }

  /** What each device says of itself on its own disk, every few moments. */
  #look(): void {
    const known = [...this.models.first, ...this.models.second].map(({ variant }) => variant.digest)
    for (const { id, agent } of this.#devices) {
      if (!existsSync(join(agent.state, 'reported.json'))) continue
      const { revision, active } = saidBy(agent)
      // A device whose clock is off takes the document on its disk for expired, and says 0 until it is sent again.
      if (
        (revision > 0 && revision < (this.#highest.get(id) ?? 0)) ||
        (active && !known.includes(active.variant))
      )
        this.#wrong.add(id)
      this.#highest.set(id, Math.max(revision, this.#highest.get(id) ?? 0))
    }
  }

  /** Does one thing that may happen, and gives it a moment; what it was. */
  async fault(): Promise<string> {
    const kinds = Object.keys(this.#kinds)
    const kind = kinds[Math.floor(this.random() * kinds.length)]
    const device = this.#any
    await this.#kinds[kind](device)
    await sleep(this.random() * 800)
    return `${kind} ${device.id}`
  }

  readonly #kinds: Readonly<Record<string, (device: Device) => Promise<void>>> = {
    killAgent: async (device: Device) => {
      await device.agent.end('SIGKILL')
      await sleep(this.random() * 300)
      this.#start(device)
    },
    killService: async () => {
      await this.service.end('SIGKILL')
      await sleep(this.random() * 500)
      await this.service.start()
    },
    cut: async ({ wire }: Device) => wire.cut(),
    delay: ({ wire }: Device) => this.#during(wire, { delayMs: 20 + this.random() * 180 }),
    flip: ({ wire }: Device) => this.#during(wire, { flip: 0.05 }),
    repeat: ({ wire }: Device) => this.#during(wire, { repeat: 0.3 }),
    reorder: ({ wire }: Device) => this.#during(wire, { reorder: 0.3 }),
    replay: async ({ wire }: Device) => {
      wire.replay()
    },
    clock: async ({ offset }: Device) => {
      const years = (this.random() - 0.5) * 6
      writeFileSync(offset, String(Math.round(years * 365 * 86_400_000)))
    },
    truncate: async (device: Device) => {
      await device.agent.end('SIGKILL')
      truncateOne(device.agent.state, this.random)
      this.#start(device)
    },
    cross: async () => {
      this.#version = this.#version === 1 ? 2 : 1
      await this.#assign()
    },
  }

  async #during(wire: Wire, trouble: Partial<Wire['trouble']>): Promise<void> {
    wire.trouble = { ...wire.trouble, ...trouble }
    await sleep(300 + this.random() * 700)
    wire.calm()
  }

  async #assign(): Promise<void> {
    for (const { id } of this.#devices)
      await this.service.call('PUT', `/devices/${id}/assignment`, { model: 'digits', version: this.#version })
  }

  /** Lets everything be, waits until it has come to rest, and counts what is wrong. */
  async judge(): Promise<Omit<Outcome, 'seed' | 'faults' | 'seconds'>> {
    for (const { wire, offset } of this.#devices) {
      wire.calm()
      writeFileSync(offset, '0')
    }
    await this.#assign()
    const known = [...this.models.first, ...this.models.second]
    const [, best] = this.#version === 1 ? this.models.first : this.models.second
    let notConverged = 0
    const end = performance.now() + CALM_MS
    for (const device of this.#devices) {
      while (!(await this.#hasCome(device, best))) {
        if (performance.now() > end) {
          notConverged++
          break
        }
        await sleep(100)
      }
    }
    // One that has come to rest sends what it still holds.
    await sleep(1000)
    let [brokenModels, lostReports, reports] = [0, 0, 0]
    for (const { agent } of this.#devices) await agent.end()
    const stored = await this.service.reportIds()
    for (const { agent } of this.#devices) {
      const { outbox } = await agent.status()
      const made = agent.reportIds()
      const missing = made.filter((report) => !stored.includes(report)).length
      reports += made.length
      lostReports += Math.max(0, missing - outbox.waiting - outbox.dropped)
      if (!(await answers(agent.state, known))) brokenModels++
    }
    return {
      reports,
      notConverged,
      brokenModels,
      lostReports,
      storedTwice: stored.length - new Set(stored).size,
      obeyedWrongly: this.#wrong.size,
    }
  }

  /** Whether a device runs this variant and says that it heeds the newest of what was desired of it. */
  async #hasCome({ id, agent }: Device, { variant }: TestModel): Promise<boolean> {
    const { body } = await this.service.call('GET', `/devices/${id}`)
    const [active, assigned] = [body.active, body.assigned] as [
      { variant: string } | null,
      { revision: number },
    ]
    const isHere =
      active?.variant === variant.digest && ['active', 'benchmarking'].includes(String(body.state))
    return isHere && saidBy(agent).revision === assigned.revision
  }

  async end(): Promise<void> {
    clearInterval(this.#watch)
    for (const { agent, wire } of this.#devices) {
      await agent.end('SIGKILL')
      await wire.close()
      rmSync(agent.folder, { recursive: true, force: true })
    }
    await this.service.end()
  }
}

const saidBy = (agent: AgentProcess): Reported =>
  JSON.parse(readFileSync(join(agent.state, 'reported.json'), 'utf8'))

/** Cuts a file of a variant to a part of itself, as a file system may after a crash. */
function truncateOne(state: string, random: () => number): void {
  const folder = join(state, 'artifacts')
  if (!existsSync(folder)) return
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name))
    .sort()
  const path = files[Math.floor(random() * files.length)]
  if (path) truncateSync(path, Math.floor(statSync(path).size * random()))
}
