import type { KeyObject } from 'node:crypto'
import * as Type from 'typebox'
import { EspalierError } from '../errors.js'
import { defineSigned, isSignature, publicKeyFrom, publicKeyText, signatureOf } from '../signing.js'
import { At, DeviceId, Failure, Label, Nullable, PublicKey, Rising } from './fields.js'
import { defineMessage } from './message.js'

/** A client that has no device id yet connects by a claim: a name that it draws at random, told from ids by its prefix. */
export const claimPattern = /^claim-[A-Za-z0-9_-]{22}$/
/** The user name of whoever enrols; the password is the token. */
export const ENROL_USER = 'enrol'

const Secret = Type.String({ pattern: '^[A-Za-z0-9_-]{20,128}$' })

const requested = {
  claim: Type.String({ pattern: claimPattern.source }),
  token: Secret,
  /** The device's own. */
  publicKey: PublicKey,
  /** The id that the device would like; the service makes one up where it says none. */
  id: Type.Optional(DeviceId),
}

/** `enrol/{claim}/request`: a token, and a key that the device proves to hold by signing the rest with it. */
export const EnrolRequest = Type.Object({ ...requested, proof: Type.String({ maxLength: 128 }) })
export type EnrolRequest = Type.Static<typeof EnrolRequest>
export const enrolRequest = defineMessage('enrolRequest', 4 * 1024, EnrolRequest)

/** `enrol/{claim}/response`: what the device connects with from now on, or why it gets nothing. */
export const EnrolResponse = Type.Object({
  credential: Nullable(Type.Object({ id: DeviceId, password: Secret, issuedAt: At })),
  error: Nullable(Failure),
})
export type EnrolResponse = Type.Static<typeof EnrolResponse>
export const enrolResponse = defineMessage('enrolResponse', 4 * 1024, EnrolResponse)

/** The request, with the proof that its sender holds the key. */
export function enrolRequestOf(
  content: Omit<EnrolRequest, 'proof' | 'publicKey'>,
  key: KeyObject,
): EnrolRequest {
  const said = { ...content, publicKey: publicKeyText(key) }
  return { ...said, proof: signatureOf(said, key) }
}

/** @throws SIGNATURE_INVALID, KEY_INVALID unless who sent the request holds the key that it names. */
export function requireProof({ proof, ...said }: EnrolRequest): void {
  if (isSignature(proof, said, publicKeyFrom(said.publicKey))) return
  throw new EspalierError('SIGNATURE_INVALID', 'the device does not hold the key that it enrols with')
}

/** `devices/{id}/credential`, signed, bound to the device: the password that takes the place of the one before. */
export const NewCredential = Type.Object({
  type: Type.Literal('credential'),
  device: DeviceId,
  n: Rising,
  issuedAt: At,
  expiresAt: At,
  password: Secret,
})
export type NewCredential = Type.Static<typeof NewCredential>
export const newCredential = defineSigned('credential', 4 * 1024, NewCredential, 'n')

/** All that an operator hands to a device that is to enrol, as one word of base64url. */
export const EnrolmentCode = Type.Object({
  token: Secret,
  /** Such as `mqtts://host:8883`. */
  broker: Label,
  servicePublicKey: PublicKey,
  /** PEM of the authority that vouches for the broker, where not everybody knows it. */
  ca: Type.Optional(Type.String({ maxLength: 8 * 1024 })),
})
export type EnrolmentCode = Type.Static<typeof EnrolmentCode>
export const enrolmentCode = defineMessage('enrolment code', 16 * 1024, EnrolmentCode)
