import { randomInt } from 'node:crypto'
import { asEspalierError, EspalierError } from '@espalier/shared'
import {
  type EnrolRequest,
  type EnrolResponse,
  encode,
  enrolRequest,
  enrolResponse,
  parse,
  requireProof,
} from '@espalier/shared/messages/index.js'
import { topic } from '@espalier/shared/topics.js'
import type { Broker, Logger } from '../broker/index.js'
import type { Database } from '../store/index.js'
import { newPassword } from './credentials.js'
import type { Devices } from './devices.js'
import type { Groups } from './groups.js'
import type { EnrolmentTokens, Grant } from './tokens.js'

export interface EnrolmentOptions {
  readonly db: Database
  readonly broker: Broker
  readonly log: Logger
  readonly tokens: EnrolmentTokens
  readonly devices: Devices
  readonly now: () => number
  readonly groups: Groups
  readonly onAdmitted: (device: string, groups: readonly string[]) => void
}

/**
 * Turns a token into a device. Asked again by the same key, as after an answer that was lost, it gives the same device a
 * new password and counts no further use; by another key it counts one.
 */
export class Enrolment {
  readonly #o: EnrolmentOptions

  constructor(options: EnrolmentOptions) {
    this.#o = options
    options.broker.handle('enrolRequest', ({ device: claim, payload }) => this.#answer(claim, payload))
  }

  #answer(claim: string, payload: Buffer): void {
    let response: EnrolResponse
    try {
      response = { credential: this.#enrol(claim, parse(enrolRequest, payload)), error: null }
    } catch (thrown) {
      const { code, message } = asEspalierError(thrown)
      if (code === 'INTERNAL' || code === 'DISK_FULL') throw thrown
      this.#o.log.warn({ claim, code }, `a device was not enrolled: ${message}`)
      response = { credential: null, error: { code, message } }
    }
    this.#o.broker.send(claim, topic('enrolResponse', { claim }), encode(enrolResponse, response))
  }

  #enrol(claim: string, request: EnrolRequest): NonNullable<EnrolResponse['credential']> {
    const { db, tokens, groups, log, now } = this.#o
    requireProof(request)
    if (request.claim !== claim)
      throw new EspalierError(
        'ENROLMENT_REFUSED',
        `the request is of ${request.claim}, and came from ${claim}`,
      )
    const grant = tokens.find(request.token)
    if (!grant)
      throw new EspalierError(
        'ENROLMENT_REFUSED',
        'this token is unknown, has expired, or was revoked; ask for a new one: espalier tokens create',
      )
    const password = newPassword()
    const id = db.transaction(() => {
      const admitted = this.#admit(grant, request, password)
      if (grant.groupId !== null) groups.join(grant.groupId, admitted)
      return admitted
    })()
    log.info({ device: id, token: grant.id }, 'a device has enrolled')
    this.#o.onAdmitted(id, grant.groupId === null ? [] : [grant.groupId])
    return { id, password, issuedAt: now() }
  }

  #admit(grant: Grant, { publicKey, id: wished }: EnrolRequest, password: string): string {
    const { devices, tokens, broker } = this.#o
    const known = devices.enrolledWith(grant.id, publicKey)
    if (known !== undefined) {
      devices.setPassword(known, password)
      return known
    }
    tokens.use(grant)
    if (grant.device !== null && devices.has(grant.device)) {
      devices.replace(grant.device, password, { publicKey, token: grant.id })
      broker.disconnect(grant.device)
      return grant.device
    }
    const id = grant.device ?? wished ?? this.#unusedId()
    devices.add(id, password, { publicKey, token: grant.id })
    return id
  }

  #unusedId(): string {
    for (;;) {
      const id = `device-${randomInt(36 ** 6)
        .toString(36)
        .padStart(6, '0')}`
      if (!this.#o.devices.has(id)) return id
    }
  }
}
