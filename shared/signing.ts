import { createHash, createPublicKey, type KeyObject, sign, verify } from 'node:crypto'
import canonicalize from 'canonicalize'
import type * as Type from 'typebox'
import { asEspalierError, EspalierError } from './errors.js'
import { check, defineMessage, type Message, parseJson } from './messages/message.js'

/**
 * Signed documents, after The Update Framework (https://theupdateframework.github.io/specification/, §4.2):
 * `{ signed, signatures: [{ keyid, sig }] }`, Ed25519 over the canonical JSON (RFC 8785) of `signed`.
 */
export interface Envelope {
  readonly signed: unknown
  readonly signatures: readonly { readonly keyid: string; readonly sig: string }[]
}

interface Dated {
  readonly expiresAt: number
}

/** A message that travels in an envelope; `counter` names its rising number. */
export interface SignedMessage<S extends Type.TSchema = Type.TSchema> extends Message<S> {
  readonly counter: string
}

/** Declares a signed message. `maxBytes` bounds the whole envelope. */
export function defineSigned<S extends Type.TSchema>(
  name: string,
  maxBytes: number,
  schema: S,
  counter: string & keyof Type.Static<S>,
): SignedMessage<S> {
  return { ...defineMessage(name, maxBytes, schema), counter }
}

/** What the receiver holds a document against. */
export interface Expected<T> {
  /** The service's public keys, any of which may have signed. */
  readonly keys: readonly KeyObject[]
  /** ms since 1970 */
  readonly now: number
  /** The properties that bind it, such as `{ device: 'pi-4' }`. */
  readonly bound: Partial<T>
  /** The highest counter accepted so far, 0 for none: a lower one is refused, an equal one is not. */
  readonly atLeast: number
}

/** An Ed25519 key's public half as text: its 32 bytes in base64url. */
export const publicKeyText = (key: KeyObject): string =>
  String((key.type === 'private' ? createPublicKey(key) : key).export({ format: 'jwk' }).x)

/** The key that `publicKeyText` wrote. @throws KEY_INVALID */
export function publicKeyFrom(text: string): KeyObject {
  try {
    return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: text }, format: 'jwk' })
  } catch (cause) {
    throw new EspalierError('KEY_INVALID', 'the public key is not 32 bytes of Ed25519 in base64url', {
      cause,
    })
  }
}

/** A key's name: the SHA-256 of its public half's 32 bytes, hexadecimal. */
export const keyId = (key: KeyObject): string =>
  createHash('sha256')
    .update(Buffer.from(publicKeyText(key), 'base64url'))
    .digest('hex')

/** Ed25519 over the canonical JSON of `value`, base64. */
export const signatureOf = (value: unknown, privateKey: KeyObject): string =>
  sign(null, canonicalBytes(value), privateKey).toString('base64')

export const isSignature = (sig: string, value: unknown, publicKey: KeyObject): boolean =>
  verify(null, canonicalBytes(value), publicKey, Buffer.from(sig, 'base64'))

/** The bytes of the document, signed by every key. @throws MESSAGE_INVALID when it breaks its schema. */
export function seal<S extends Type.TSchema>(
  message: SignedMessage<S>,
  content: Type.Static<S>,
  ...privateKeys: readonly KeyObject[]
): Buffer {
  const signed = check(message, content)
  const envelope: Envelope = {
    signed,
    signatures: privateKeys.map((key) => ({ keyid: keyId(key), sig: signatureOf(signed, key) })),
  }
  const bytes = Buffer.from(JSON.stringify(envelope))
  if (bytes.length > message.maxBytes)
    throw new EspalierError(
      'MESSAGE_TOO_LARGE',
      `${message.name}: ${bytes.length} bytes; at most ${message.maxBytes} can be sent`,
    )
  return bytes
}

/**
 * The document in `bytes`, once its signature, its form, its binding, its date and its counter hold.
 * @throws SIGNATURE_INVALID, MESSAGE_INVALID, MESSAGE_TOO_LARGE, DOCUMENT_MISBOUND, DOCUMENT_EXPIRED, DOCUMENT_REPLAYED
 */
export function unseal<S extends Type.TSchema>(
  message: SignedMessage<S>,
  bytes: Uint8Array,
  expected: Expected<Type.Static<S>>,
): Type.Static<S> {
  const envelope = parseJson(message.name, message.maxBytes, bytes)
  const content = verified(message, envelope, expected.keys)
  for (const [key, value] of Object.entries(expected.bound)) {
    const found = (content as Record<string, unknown>)[key]
    if (found !== value)
      throw new EspalierError(
        'DOCUMENT_MISBOUND',
        `${message.name}: it is for ${key} ${JSON.stringify(found)}, not ${JSON.stringify(value)}`,
      )
  }
  const { expiresAt } = content as Dated
  if (expiresAt <= expected.now)
    throw new EspalierError(
      'DOCUMENT_EXPIRED',
      `${message.name}: it expired ${new Date(expiresAt).toISOString()}; check this machine's clock, and that the service runs`,
    )
  const counter = (content as Record<string, number>)[message.counter]
  if (counter < expected.atLeast)
    throw new EspalierError(
      'DOCUMENT_REPLAYED',
      `${message.name}: ${message.counter} ${counter} is lower than ${expected.atLeast}, which was accepted before`,
    )
  return content
}

/** What an envelope holds, once one of the keys has signed it and its form is right. @throws SIGNATURE_INVALID, MESSAGE_INVALID */
export function verified<S extends Type.TSchema>(
  message: SignedMessage<S>,
  envelope: unknown,
  keys: readonly KeyObject[],
): Type.Static<S> {
  if (!isEnvelope(envelope))
    throw new EspalierError(
      'SIGNATURE_INVALID',
      `${message.name}: not a signed document; it needs "signed" and "signatures"`,
    )
  if (isSignedBy(envelope, keys)) return check(message, envelope.signed)
  throw new EspalierError('SIGNATURE_INVALID', `${message.name}: no signature by a key that is trusted here`)
}

/** Whether this is an envelope that one of the keys has signed. */
export const isSignedBy = (envelope: unknown, keys: readonly KeyObject[]): boolean =>
  signersOf(envelope, keys).length > 0

/** Those of the keys that have signed an envelope; none if it is no envelope. */
export function signersOf(envelope: unknown, keys: readonly KeyObject[]): KeyObject[] {
  if (!isEnvelope(envelope)) return []
  const byId = new Map(keys.map((key) => [keyId(key), key]))
  return envelope.signatures.flatMap(({ keyid, sig }) => {
    const key = byId.get(keyid)
    return key !== undefined && isSignature(sig, envelope.signed, key) ? [key] : []
  })
}

function isEnvelope(value: unknown): value is Envelope {
  if (typeof value !== 'object' || value === null || !('signed' in value) || !('signatures' in value))
    return false
  const { signatures } = value
  return (
    Array.isArray(signatures) &&
    signatures.length <= 8 &&
    signatures.every((s) => typeof s?.keyid === 'string' && typeof s?.sig === 'string')
  )
}

function canonicalBytes(value: unknown): Buffer {
  try {
    return Buffer.from(canonicalize(value) ?? '')
  } catch (thrown) {
    throw new EspalierError(
      'SIGNATURE_INVALID',
      `the document has no canonical form: ${asEspalierError(thrown).message}`,
      {
        cause: thrown,
      },
    )
  }
}
