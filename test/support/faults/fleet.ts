import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { random } from '@espalier/server/compiler/data/index.js'
import { answers, withGolden } from '../../agent/support/golden.js'
import { networkBytes, type TestModel, testModel } from '../../agent/support/models.js'
import { fill, ServiceProcess } from '../../agent/support/service-process.js'
import { patience } from '../patience.js'
import { fillUp, smallDisk } from '../small-disk.js'
import { Device } from './device.js'
import { kinds, needSmallDisks, type Victims } from './kinds.js'
import type { Outcome } from './run.js'
import { Wire } from './wire.js'

const CALM_MS = 90_000 * patience
const top1 = (value: number) => ({ value, n: 10_000 })

/** Two variants each of two versions, the better one larger. */
const plain = {
  first: [testModel('small', 64, { top1: top1(0.9) }), testModel('large', 400, { top1: top1(0.95) })],
  second: [testModel('small2', 72, { top1: top1(0.91) }), testModel('large2', 416, { top1: top1(0.96) })],
}
/** What these models answer, found out once. */
let golden: Promise<typeof plain> | null = null

async function goldenModels(folder: string): Promise<typeof plain> {
  return { first: await withGolden(plain.first, folder), second: await withGolden(plain.second, folder) }
}

/** A service and two agents as processes, each with a disk of its own, each agent behind a bad wire of its own. */
export class Fleet implements Victims {
  readonly #devices: Device[] = []
  readonly #endings: (() => unknown)[] = []
  readonly #highest = new Map<string, number>()
  readonly #wrong = new Set<string>()
  #version: 1 | 2 = 1
  #service: ServiceProcess | null = null
  #serviceDisk = ''
  #faults = 0
  hasSmallDisks = true
  /** Drawn from for each fault anew, since how much one draws may depend on what it finds; what wires do with packets is drawn apart. */
  random: () => number = random(0)

  private constructor(
    private readonly folder: string,
    private readonly models: typeof plain,
    private readonly seed: number,
  ) {}

  static async start(folder: string, seed: number): Promise<Fleet> {
    golden ??= goldenModels(folder)
    const fleet = new Fleet(folder, await golden, seed)
    try {
      await fleet.#start()
      return fleet
    } catch (e) {
      await fleet.end()
      throw e
    }
  }

  async #start(): Promise<void> {
    const { first, second } = this.models
    this.#serviceDisk = this.#disk('service', '48m')
    const data = join(this.#serviceDisk, 'data')
    mkdirSync(data)
    await fill(data, networkBytes(64), first, second)
    const service = new ServiceProcess(data)
    this.#service = service
    this.#endings.unshift(() => service.end())
    await service.start()
    for (const [i, id] of ['one', 'two'].entries()) {
      const credential = await service.device(id)
      const wire = new Wire(random(this.seed * 2 + i))
      const broker = `mqtt://127.0.0.1:${await wire.open(service.mqttPort)}`
      const device = new Device(id, { ...credential, broker }, wire, this.#disk(id, '6m'))
      this.#devices.push(device)
      this.#endings.unshift(async () => {
        await device.end('SIGKILL')
        await wire.close()
        rmSync(device.agent.folder, { recursive: true, force: true })
      })
      device.start()
    }
    const watch = setInterval(() => this.#look(), 30)
    this.#endings.unshift(() => clearInterval(watch))
  }

  #disk(name: string, size: string): string {
    const small = smallDisk({ teardown: (end) => void this.#endings.push(end) }, size)
    if (small) return small
    this.hasSmallDisks = false
    const folder = join(this.folder, name)
    mkdirSync(folder)
    return folder
  }

  /** Does one thing that may happen, and gives it a moment; what it was. */
  async fault(): Promise<string> {
    this.random = random(this.seed * 7919 + this.#faults++)
    const names = Object.keys(kinds)
    const kind = names[Math.floor(this.random() * names.length)]
    const device = this.#devices[Math.floor(this.random() * this.#devices.length)]
    await kinds[kind](device, this)
    await sleep(this.random() * 400)
    const isLeftOut = !this.hasSmallDisks && needSmallDisks.includes(kind)
    return `${kind} ${device.id}${isLeftOut ? ' (left out: no small disk can be mounted)' : ''}`
  }

  killService = (): Promise<void> => this.#running.end('SIGKILL')
  startService = (): Promise<void> => this.#running.start()
  fillServiceDisk = (): void => fillUp(join(this.#serviceDisk, 'filler'))
  emptyServiceDisk = (): void => rmSync(join(this.#serviceDisk, 'filler'), { force: true })
  cross = (): Promise<void> => {
    this.#version = this.#version === 1 ? 2 : 1
    return this.#assign()
  }

  get #running(): ServiceProcess {
    if (!this.#service) throw new Error('the service was never started')
    return this.#service
  }

  async #assign(): Promise<void> {
    for (const { id } of this.#devices)
      await this.#running.call('PUT', `/devices/${id}/assignment`, {
        model: 'digits',
        version: this.#version,
      })
  }

  /** What each device says of itself on its own disk, every few moments. */
  #look(): void {
    const known = [...this.models.first, ...this.models.second].map(({ variant }) => variant.digest)
    for (const device of this.#devices) {
      device.revive()
      const { said, id } = device
      if (!said) continue
      const highest = this.#highest.get(id) ?? 0
      // A device whose clock is off takes the document on its disk for expired, and says 0 until it is sent again.
      const isStale = said.revision > 0 && said.revision < highest
      if (isStale || (said.active && !known.includes(said.active.variant))) this.#wrong.add(id)
      this.#highest.set(id, Math.max(said.revision, highest))
    }
  }

  /** Lets everything be, waits until it has come to rest, and counts what is wrong. */
  async judge(): Promise<Omit<Outcome, 'seed' | 'faults' | 'seconds'>> {
    for (const device of this.#devices) {
      device.wire.calm()
      device.setClock(0)
    }
    await this.#assign()
    const notConverged = await this.#converge()
    for (const device of this.#devices) await device.end()
    const ids = await this.#running.reportIds()
    const stored = new Set(ids)
    const known = [...this.models.first, ...this.models.second]
    let brokenModels = 0
    for (const { agent } of this.#devices) if (!(await answers(agent.state, known))) brokenModels++
    const sum = (of: (device: Device) => number) => this.#devices.reduce((total, d) => total + of(d), 0)
    return {
      reports: sum(({ agent }) => agent.reportIds().length),
      notConverged,
      brokenModels,
      lostReports: sum((device) => device.lostReports(stored)),
      storedTwice: ids.length - stored.size,
      obeyedWrongly: this.#wrong.size,
      crashes: sum(({ crashes }) => crashes.length),
      lastWords: this.#devices.flatMap(({ crashes }) => crashes),
    }
  }

  /** How many devices do not come to what is desired of them. */
  async #converge(): Promise<number> {
    const [, best] = this.#version === 1 ? this.models.first : this.models.second
    const end = performance.now() + CALM_MS
    let left = [...this.#devices]
    while (left.length > 0 && performance.now() < end) {
      await sleep(100)
      const here = await Promise.all(left.map((device) => this.#hasCome(device, best)))
      left = left.filter((_, i) => !here[i])
    }
    return left.length
  }

  /** Whether a device runs this variant and says that it heeds the newest of what was desired of it. */
  async #hasCome({ id, said }: Device, { variant }: TestModel): Promise<boolean> {
    const { body } = await this.#running.call('GET', `/devices/${id}`)
    const [active, assigned] = [body.active, body.assigned] as [
      { variant: string } | null,
      { revision: number },
    ]
    const isHere =
      active?.variant === variant.digest && ['active', 'benchmarking'].includes(String(body.state))
    return isHere && said?.revision === assigned.revision
  }

  async end(): Promise<void> {
    for (const end of this.#endings) await end()
  }
}
