import type { KeyObject } from 'node:crypto'
import { EspalierError } from '@espalier/shared'
import { encode, enrolmentCode, newCredential } from '@espalier/shared/messages/index.js'
import { seal } from '@espalier/shared/signing.js'
import { topic } from '@espalier/shared/topics.js'
import type { Broker, Logger } from '../broker/index.js'
import type { AdmissionPart } from '../http/parts.js'
import type {
  CreatedToken,
  Credential,
  EnrolmentToken,
  NewDevice,
  NewEnrolmentToken,
  PageQuery,
} from '../http/schemas/index.js'
import type { Database, Page } from '../store/index.js'
import { newPassword, passwordOf } from './credentials.js'
import { type Devices, requireIdOfDevice } from './devices.js'
import { Enrolment } from './enrolment.js'
import type { Groups } from './groups.js'
import { EnrolmentTokens } from './tokens.js'

export interface AdmissionOptions {
  readonly db: Database
  readonly broker: Broker
  readonly key: KeyObject
  /** From which new passwords are drawn. */
  readonly secret: KeyObject
  /** The public half of the root key, which devices begin with. */
  readonly rootKey: string
  /** The authority of the broker's certificate, PEM, for devices that do not know it. */
  readonly ca: string | null
  readonly log: Logger
  readonly now: () => number
  readonly devices: Devices
  readonly groups: Groups
  /** A device is there, or has new hardware, and has joined these groups. */
  readonly onAdmitted: (device: string, groups: readonly string[]) => void
  readonly onChanged: (device: string) => void
}

/** How long the message with a new password holds; it is sent again whenever the device is heard of. */
const passwordLifeMs = 24 * 3600 * 1000

/** Who belongs to the fleet: devices come in, get new passwords, and are shown out. */
export class Admission implements AdmissionPart {
  readonly #o: AdmissionOptions
  readonly #tokens: EnrolmentTokens

  constructor(options: AdmissionOptions) {
    const { db, broker, log, now, devices, groups, onAdmitted } = options
    this.#o = options
    this.#tokens = new EnrolmentTokens(db, now)
    new Enrolment({ ...{ db, broker, log, now, devices, groups, onAdmitted }, tokens: this.#tokens })
  }

  authenticate(device: string, password: string): boolean {
    return this.#o.devices.hasPassword(device, password)
  }

  /** Whether somebody who offers this token may connect to enrol. */
  admitsClaim(token: string): boolean {
    return this.#tokens.find(token) !== undefined
  }

  create({ id, groups: joined = [] }: NewDevice): Credential {
    const { db, devices, groups, onAdmitted } = this.#o
    const password = newPassword()
    db.transaction(() => {
      devices.add(id, password)
      for (const group of joined) groups.join(group, id)
    })()
    onAdmitted(id, joined)
    return { id, password, ...this.#way() }
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

  revoke(device: string): void {
    const { devices, broker, onChanged } = this.#o
    devices.get(device)
    devices.revoke(device)
    broker.disconnect(device)
    onChanged(device)
  }

  retire(device: string): void {
    const { db, devices, broker, log, onChanged } = this.#o
    devices.get(device)
    db.transaction(() => devices.retire(device))()
    broker.disconnect(device)
    for (const name of ['presence', 'facts', 'desired', 'reported'] as const)
      broker
        .retain(topic(name, { device }), Buffer.alloc(0))
        .catch((err) =>
          log.error({ device, err }, 'what is retained of a retired device could not be removed'),
        )
    onChanged(device)
  }

  rotate(device: string): void {
    const { devices, secret } = this.#o
    if (devices.get(device).revokedAt !== null)
      throw new EspalierError(
        'DEVICE_RETIRED',
        `the credential of '${device}' was revoked; let it enrol anew: espalier tokens create --device ${device}`,
      )
    const n = devices.rotate(device)
    devices.setNextPassword(device, passwordOf(secret, device, n))
    this.sendDue(device)
  }

  /** Sends a device the password that is due, until it connects with it; then that takes the old one's place. */
  sendDue(device: string): void {
    const { devices, broker, key, secret, now } = this.#o
    const n = devices.due(device)
    if (n === undefined) return
    const issuedAt = now()
    const document = seal(
      newCredential,
      {
        type: 'credential',
        ...{ device, n, issuedAt, expiresAt: issuedAt + passwordLifeMs },
        password: passwordOf(secret, device, n),
      },
      key,
    )
    broker.send(device, topic('credential', { device }), document)
  }

  /** How a device reaches this service, and knows it. */
  #way() {
    const { broker, rootKey, ca } = this.#o
    return { broker: broker.url, servicePublicKey: rootKey, ...(ca && { ca }) }
  }
}
