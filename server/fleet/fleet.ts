import type { KeyObject } from 'node:crypto'
import {
  commandAck,
  type Facts,
  facts,
  type Logs,
  logs,
  type Message,
  parse,
  presence,
  type Reported,
  reported,
  type UnmetWish,
  wish,
} from '@espalier/shared/messages/index.js'
import type { TopicName } from '@espalier/shared/topics.js'
import type * as Type from 'typebox'
import type { Broker, Logger } from '../broker/index.js'
import type { Catalogues, Published } from '../delivery/index.js'
import type { Events } from '../events.js'
import type { FleetPart } from '../http/parts.js'
import type {
  Assignment,
  Device,
  DeviceCommand,
  Group,
  Objective,
  PageQuery,
  Report,
} from '../http/schemas/index.js'
import { afterCursor, type Database, defaultLimit, type Page, pageOf } from '../store/index.js'
import { Admission } from './admission.js'
import { Commands } from './commands.js'
import { DesiredDocuments, type Order } from './desired.js'
import { DeviceLogs } from './device-logs.js'
import { type DeviceRow, Devices } from './devices.js'
import { Groups } from './groups.js'

export interface FleetOptions {
  readonly db: Database
  readonly broker: Broker
  /** Signs what devices act on. */
  readonly key: KeyObject
  /** From which new passwords are drawn. */
  readonly secret: KeyObject
  /** The public half of the root key, which devices begin with. */
  readonly rootKey: string
  /** The authority of the broker's certificate, PEM, for devices that do not know it. */
  readonly ca?: string | null
  readonly catalogues: Catalogues
  readonly events: Events
  readonly log: Logger
  /** The latest report of a device on a variant. */
  readonly latestReport: (device: string, variant: string) => Report | undefined
  /** A variant's name by its digest. */
  readonly nameOf: (variant: string) => string | null
  readonly now?: () => number
}

/** Devices, their groups, and what each should run. */
export class Fleet implements FleetPart {
  readonly admission: Admission
  readonly #o: FleetOptions
  readonly #devices: Devices
  readonly #groups: Groups
  readonly #desired: DesiredDocuments
  readonly #commands: Commands
  readonly #logs: DeviceLogs

  constructor(options: FleetOptions) {
    const { db, broker, key, secret, rootKey, catalogues, log, now = Date.now } = options
    this.#o = options
    this.#devices = new Devices(db, now)
    this.#groups = new Groups(db)
    this.#desired = new DesiredDocuments(db, broker, key, catalogues, log, now)
    this.#commands = new Commands(db, broker, key, now)
    this.#logs = new DeviceLogs(db)
    this.admission = new Admission({
      ...{ db, broker, key, secret, rootKey, ca: options.ca ?? null, log, now },
      ...{ devices: this.#devices, groups: this.#groups },
      onAdmitted: (device, groups) => {
        for (const group of groups) this.#follow(group, [device])
        this.#changed(device)
      },
      onChanged: (device) => this.#changed(device),
    })
    this.#hear('presence', presence, (device, said) => this.#devices.presence(device, said))
    this.#hear('facts', facts, (device, said) => this.#devices.facts(device, said))
    this.#hear('reported', reported, (device, said) => this.#devices.reported(device, said))
    this.#hear('wish', wish, (device, said) => this.#devices.wish(device, said.wish))
    this.#hear('logs', logs, (device, said) => this.#logs.keep(device, said))
    this.#hear('commandAck', commandAck, (device, said) => this.#commands.acknowledge(device, said))
  }

  /** To be called before the broker starts: who was connected is not known yet. */
  forgetPresence(): void {
    this.#devices.allOffline()
  }

  /** Publishes again what a broker without memory has lost; to be called once it runs, and daily. */
  restore(): void {
    this.#desired.restore()
    this.#commands.renew()
  }

  /** Tells the devices of this model version that they may choose anew. */
  catalogueChanged(published: Published): void {
    for (const device of this.#desired.renew(published)) this.#changed(device)
  }

  devices({ cursor, limit = defaultLimit }: PageQuery): Page<Device> {
    const rows = this.#devices.after(afterCursor(cursor) ?? '', limit + 1)
    return pageOf(
      rows.map((row) => this.#view(row)),
      limit,
      ({ id }) => id,
    )
  }

  device(id: string): Device {
    return this.#view(this.#devices.get(id))
  }

  async assign(device: string, assignment: Assignment): Promise<Device> {
    this.#devices.get(device)
    const order = await this.#order(assignment)
    this.#give([device], order)
    return this.device(device)
  }

  command(device: string, order: DeviceCommand): { n: number } {
    this.#devices.get(device)
    return { n: this.#commands.add(device, order) }
  }

  /** What it sent last of its log; null: nothing yet. */
  logs(device: string): Logs | null {
    this.#devices.get(device)
    return this.#logs.get(device)
  }

  groups(page: PageQuery): Page<Group> {
    return this.#groups.list(page)
  }

  group(id: string): Group {
    return this.#groups.get(id)
  }

  setGroup(id: string, devices: readonly string[]): Group {
    for (const device of devices) this.#devices.get(device)
    const joined = this.#o.db.transaction(() => this.#groups.set(id, devices))()
    this.#follow(id, joined)
    for (const device of joined) this.#changed(device)
    return this.group(id)
  }

  async assignGroup(id: string, assignment: Assignment): Promise<Group> {
    this.#groups.get(id)
    const order = await this.#order(assignment)
    this.#give(this.#groups.get(id).devices, order, () => this.#groups.assign(id, order))
    return this.group(id)
  }

  /**
   * The assignment with its version filled in. Whoever assigns what was compiled a moment ago waits for its catalogue:
   * blocks are cut and signed after the compilation has ended.
   * @throws CATALOGUE_UNKNOWN
   */
  async #order({ model, version, objective = {} }: Assignment): Promise<Order> {
    await this.#o.catalogues.settled()
    return { model, version: this.#o.catalogues.get(model, version).version, objective }
  }

  #follow(group: string, devices: readonly string[]): void {
    const order = this.#groups.assignment(group)
    if (order) this.#give(devices, order)
  }

  /** All of them, or none. */
  #give(devices: readonly string[], order: Order, also: () => void = () => {}): void {
    const rows = this.#o.db.transaction(() => {
      also()
      return devices.map((device) => this.#desired.set(device, order))
    })()
    for (const row of rows) {
      this.#desired.retain(row)
      this.#changed(row.device)
    }
  }

  /** Takes one kind of message from devices; `note` says whether it changed anything. */
  #hear<S extends Type.TSchema>(
    name: TopicName,
    message: Message<S>,
    note: (device: string, said: Type.Static<S>) => boolean,
  ): void {
    this.#o.broker.handle(name, ({ device, payload }) => {
      if (note(device, parse(message, payload))) this.#changed(device)
      this.#commands.sendWaiting(device)
      this.admission.sendDue(device)
    })
  }

  #changed(device: string): void {
    this.#o.events.emit({ type: 'device.changed', device })
  }

  #view(row: DeviceRow): Device {
    const known = row.facts ? (JSON.parse(row.facts) as Facts) : undefined
    const state = row.reported ? (JSON.parse(row.reported) as Reported) : undefined
    const wanted = this.#desired.get(row.id)
    const measured = state?.active && this.#o.latestReport(row.id, state.active.variant)
    const held = (it: Reported['active'] | undefined) =>
      it ? { ...it, name: this.#o.nameOf(it.variant) } : null
    return {
      id: row.id,
      online: row.online === 1,
      lastSeenAt: row.lastSeenAt,
      board: known?.board ?? null,
      arch: known?.arch ?? null,
      cores: known?.cores ?? null,
      memoryBytes: known?.memoryBytes ?? null,
      memoryBudgetBytes: known?.memoryBudgetBytes ?? null,
      p95LimitMs: known?.p95LimitMs ?? null,
      agentVersion: known?.agentVersion ?? null,
      labels: known?.labels ?? {},
      groups: this.#groups.of(row.id),
      state: state?.state ?? null,
      assigned: wanted
        ? {
            model: wanted.model,
            version: wanted.version,
            objective: JSON.parse(wanted.objective) as Objective,
            revision: wanted.revision,
          }
        : null,
      active: held(state?.active),
      previous: held(state?.previous),
      candidate: held(state?.candidate),
      progress: state?.progress ?? null,
      error: state?.error ?? null,
      wish: row.wish ? (JSON.parse(row.wish) as UnmetWish) : null,
      droppedReports: state?.droppedReports ?? null,
      p50Ms: measured?.p50Ms ?? null,
      p95Ms: measured?.p95Ms ?? null,
      measuredRamBytes: measured?.measuredRamBytes ?? null,
      createdAt: row.createdAt,
      revokedAt: row.revokedAt,
    }
  }
}
