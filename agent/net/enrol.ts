import { type KeyObject, randomBytes } from 'node:crypto'
import { EspalierError } from '@espalier/shared'
import {
  ENROL_USER,
  type EnrolmentCode,
  type EnrolResponse,
  encode,
  enrolRequest,
  enrolRequestOf,
  enrolResponse,
  parse,
} from '@espalier/shared/messages/index.js'
import { topic } from '@espalier/shared/topics.js'
import mqtt from 'mqtt/lib/client'
import type { Credential } from '../credential.js'
import { openSocket, parseBroker } from './socket.js'

const withinMs = 30_000
/** CONNACK return codes for a user name or password that is not accepted (MQTT 3.1.1, section 3.2.2.3). */
const refusedCodes: readonly unknown[] = [4, 5]

/**
 * Asks the service for a device's credential: connects with the token, proves to hold `key`, and waits for the answer.
 * Safe to repeat with the same key: the service then gives the same device a new password.
 * @throws ENROLMENT_REFUSED, BROKER_UNREACHABLE, and what the service answers
 */
export async function enrol(
  { token, broker, servicePublicKey, ca }: EnrolmentCode,
  key: KeyObject,
  id?: string,
): Promise<Credential> {
  const claim = `claim-${randomBytes(16).toString('base64url')}`
  const said = await ask(
    broker,
    ca,
    claim,
    token,
    encode(enrolRequest, enrolRequestOf({ claim, token, id }, key)),
  )
  if (said.credential) return { ...said.credential, broker, servicePublicKey, ...(ca && { ca }) }
  throw new EspalierError('ENROLMENT_REFUSED', said.error?.message ?? 'the service gave no reason')
}

function ask(
  broker: string,
  ca: string | undefined,
  claim: string,
  token: string,
  request: Buffer,
): Promise<EnrolResponse> {
  const address = { ...parseBroker(broker), ca }
  const noBlocks = { takes: () => false, block: () => {} }
  const client = new mqtt.default(() => openSocket(address, noBlocks), {
    protocolVersion: 4,
    clientId: claim,
    username: ENROL_USER,
    password: token,
    clean: true,
    connectTimeout: withinMs,
    reconnectPeriod: 0,
  })
  const unreachable = (why: string) =>
    new EspalierError(
      'BROKER_UNREACHABLE',
      `${broker} did not answer: ${why}; is the service up, and reachable from here?`,
    )
  return new Promise<EnrolResponse>((resolve, reject) => {
    setTimeout(() => reject(unreachable(`nothing within ${withinMs / 1000} s`)), withinMs).unref()
    client.on('connect', () => {
      client.subscribe(topic('enrolResponse', { claim }), { qos: 1 }, (error) => {
        if (error) reject(unreachable(error.message))
        else client.publish(topic('enrolRequest', { claim }), request, { qos: 1 })
      })
    })
    client.on('message', (_: string, payload: Uint8Array) => {
      try {
        resolve(parse(enrolResponse, payload))
      } catch (e) {
        reject(e)
      }
    })
    client.on('error', (e: Error & { code?: unknown }) =>
      reject(
        refusedCodes.includes(e.code)
          ? new EspalierError(
              'ENROLMENT_REFUSED',
              'the service does not accept this code: it is unknown, has expired or was revoked; ask for a new one: espalier tokens create',
            )
          : unreachable(e.message),
      ),
    )
    client.on('close', () => reject(unreachable('the connection was closed')))
  }).finally(() => {
    client.end(true)
    client.stream.destroy()
  })
}
