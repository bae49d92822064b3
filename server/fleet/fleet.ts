import type { KeyObject } from 'node:crypto'
import { EspalierError } from '@espalier/shared'
import {
  commandAck,
  encode,
  enrolmentCode,
  type Facts,
  facts,
  type Message,
  newCredential,
  parse,
  presence,
  type Reported,
  reported,
} from '@espalier/shared/messages/index.js'
import { publicKeyText, seal } from '@espalier/shared/signing.js'
import { type TopicName, topic } from '@espalier/shared/topics.js'
import type * as Type from 'typebox'
import type { Broker, Logger } from '../broker/index.js'
import type { Catalogues, Published } from '../delivery/index.js'
import type { Events } from '../events.js'
import type { FleetPart } from '../http/parts.js'
import type {
  Assignment,
  CreatedToken,
  Credential,
  Device,
  DeviceCommand,
  EnrolmentToken,
  Group,
  NewDevice,
  NewEnrolmentToken,
  Objective,
  PageQuery,
  Report,
} from '../http/schemas/index.js'
import { afterCursor, type Database, defaultLimit, type Page, pageOf } from '../store/index.js'
import { Commands } from './commands.js'
import { newPassword, passwordOf } from './credentials.js'
import { DesiredDocuments, type Wish } from './desired.js'
import { type DeviceRow, Devices } from './devices.js'
import { Enrolment } from './enrolment.js'
import { Groups } from './groups.js'
import { EnrolmentTokens } from './tokens.js'

export interface FleetOptions {
  readonly db: Database
  readonly broker: Broker
  readonly key: KeyObject
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

/** How long the message with a new password holds; it is sent again whenever the device is heard of. */
const passwordLifeMs = 24 * 3600 * 1000

/** @throws REQUEST_INVALID for an id that a claim might have */
function requireIdOfDevice(id: string): void {
  if (id.startsWith('claim-'))
    throw new EspalierError(
      'REQUEST_INVALID',
      `'${id}' can be no device's id: 'claim-' is for those that enrol`,
    )
}

/** Devices, their groups, and what each should run. */
export class Fleet implements FleetPart {
  readonly #o: FleetOptions
  readonly #devices: Devices
  readonly #groups: Groups
  readonly #desired: DesiredDocuments
  readonly #commands: Commands
  readonly #tokens: EnrolmentTokens

  constructor(options: FleetOptions) {
    const { db, broker, key, catalogues, log, now = Date.now } = options
    this.#o = options
    this.#devices = new Devices(db, now)
    this.#groups = new Groups(db)
    this.#desired = new DesiredDocuments(db, broker, key, catalogues, log, now)
    this.#commands = new Commands(db, broker, key, now)
    this.#tokens = new EnrolmentTokens(db, now)
    new Enrolment({
      ...{ db, broker, log, now, tokens: this.#tokens, devices: this.#devices },
      onEnrolled: (device, group) => this.#joined(device, group === null ? [] : [group]),
    })
    this.#hear('presence', presence, (device, said) => this.#devices.presence(device, said))
    this.#hear('facts', facts, (device, said) => this.#devices.facts(device, said))
    this.#hear('reported', reported, (device, said) => this.#devices.reported(device, said))
    this.#hear('commandAck', commandAck, (device, said) => this.#commands.acknowledge(device, said))
  }

  /** To be called before the broker starts: who was connected is not known yet. */
  forgetPresence(): void {
    this.#devices.allOffline()
  }

  /** Publishes again what a broker without memory has lost; to be called once it runs, and daily. */
  restore(): void {
    this.#desired.restore()
  }

  /** Tells the devices of this model version that they may choose anew. */
  catalogueChanged(published: Published): void {
    for (const device of this.#desired.renew(published)) this.#changed(device)
  }

  authenticate(device: string, password: string): boolean {
    return this.#devices.hasPassword(device, password)
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

  create({ id, groups = [] }: NewDevice): Credential {
    requireIdOfDevice(id)
    const password = newPassword()
    this.#devices.add(id, password)
    this.#joined(id, groups)
    return { id, password, ...this.#way() }
  }

  /** Whether somebody who offers this token may connect to enrol. */
  admitsClaim(token: string): boolean {
    return this.#tokens.find(token) !== undefined
  }

  createToken(wanted: NewEnrolmentToken): CreatedToken {
    const { broker } = this.#o
    if (!broker.enrols)
      throw new EspalierError(
        'ENROLMENT_UNAVAILABLE',
        `the outside broker at ${broker.url} keeps its own passwords, which this service cannot set; register devices one by one: espalier devices create`,
      )
    if (wanted.device !== undefined) {
      requireIdOfDevice(wanted.device)
      if ((wanted.uses ?? 1) !== 1)
        throw new EspalierError(
          'REQUEST_INVALID',
          `a token for '${wanted.device}' can be used once; leave uses out`,
        )
    }
    const { token, secret } = this.#tokens.create(wanted)
    const code = encode(enrolmentCode, { token: secret, ...this.#way() })
    return { ...token, code: code.toString('base64url') }
  }

  tokens(page: PageQuery): Page<EnrolmentToken> {
    return this.#tokens.list(page)
  }

  revokeToken(id: string): EnrolmentToken {
    return this.#tokens.revoke(id)
  }

  revoke(device: string): Device {
    this.#devices.get(device)
    this.#devices.revoke(device)
    this.#o.broker.disconnect(device)
    this.#changed(device)
    return this.device(device)
  }

  retire(device: string): void {
    const { db, broker, log } = this.#o
    this.#devices.get(device)
    db.transaction(() => this.#devices.retire(device))()
    broker.disconnect(device)
    for (const name of ['presence', 'facts', 'desired', 'reported'] as const)
      broker
        .retain(topic(name, { device }), Buffer.alloc(0))
        .catch((err) =>
          log.error({ device, err }, 'what is retained of a retired device could not be removed'),
        )
    this.#changed(device)
  }

  rotate(device: string): Device {
    if (this.#devices.get(device).revokedAt !== null)
      throw new EspalierError(
        'DEVICE_RETIRED',
        `the credential of '${device}' was revoked; let it enrol anew: espalier tokens create --device ${device}`,
      )
    const n = this.#devices.rotate(device)
    this.#devices.setNextPassword(device, passwordOf(this.#o.key, device, n))
    this.#sendPassword(device)
    return this.device(device)
  }

  assign(device: string, assignment: Assignment): Device {
    this.#devices.get(device)
    this.#give([device], this.#wish(assignment))
    return this.device(device)
  }

  command(device: string, order: DeviceCommand): { n: number } {
    this.#devices.get(device)
    return { n: this.#commands.add(device, order) }
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

  assignGroup(id: string, assignment: Assignment): Group {
    const { devices } = this.#groups.get(id)
    const wish = this.#wish(assignment)
    this.#give(devices, wish, () => this.#groups.assign(id, wish))
    return this.group(id)
  }

  /** The assignment with its version filled in. @throws CATALOGUE_UNKNOWN */
  #wish({ model, version, objective = {} }: Assignment): Wish {
    return { model, version: this.#o.catalogues.get(model, version).version, objective }
  }

  /** How a device reaches this service, and knows it. */
  #way() {
    const { broker, key, ca } = this.#o
    return { broker: broker.url, servicePublicKey: publicKeyText(key), ...(ca && { ca }) }
  }

  #joined(device: string, groups: readonly string[]): void {
    for (const group of groups) {
      this.#groups.join(group, device)
      this.#follow(group, [device])
    }
    this.#changed(device)
  }

  /** Sends a device the password that is due, until it connects with it; then that takes the old one's place. */
  #sendPassword(device: string): void {
    const n = this.#devices.due(device)
    if (n === undefined) return
    const { broker, key, now = Date.now } = this.#o
    const issuedAt = now()
    const document = seal(
      newCredential,
      {
        type: 'credential',
        ...{ device, n, issuedAt, expiresAt: issuedAt + passwordLifeMs },
        password: passwordOf(key, device, n),
      },
      key,
    )
    broker.send(device, topic('credential', { device }), document)
  }

  #follow(group: string, devices: readonly string[]): void {
    const wish = this.#groups.assignment(group)
    if (wish) this.#give(devices, wish)
  }

  /** All of them, or none. */
  #give(devices: readonly string[], wish: Wish, also: () => void = () => {}): void {
    const rows = this.#o.db.transaction(() => {
      also()
      return devices.map((device) => this.#desired.set(device, wish))
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
      this.#sendPassword(device)
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
      error: state?.error ?? null,
      p50Ms: measured?.p50Ms ?? null,
      p95Ms: measured?.p95Ms ?? null,
      measuredRamBytes: measured?.measuredRamBytes ?? null,
      createdAt: row.createdAt,
      revokedAt: row.revokedAt,
    }
  }
}
