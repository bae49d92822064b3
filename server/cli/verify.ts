import { createPublicKey, type KeyObject } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { EspalierError } from '@espalier/shared'
import {
  catalogue,
  desired,
  newCredential,
  command as order,
  parseJson,
} from '@espalier/shared/messages/index.js'
import { keyId, publicKeyFrom, type SignedMessage, unseal } from '@espalier/shared/signing.js'
import { type Define, outputOf } from './command.js'
import { facts, show } from './output.js'

const documents: Readonly<Record<string, SignedMessage>> = {
  desired,
  catalogue,
  command: order,
  credential: newCredential,
}

interface Options {
  readonly key: string
  readonly json?: boolean
}

export const command: Define = (c) => {
  c.argument('<file>', 'a signed document, as it travels: a catalogue, a desired, a command')
    .option(
      '--key <key>',
      "the service's key: its text, a PEM file, or a device's credential file",
      '.espalier/service.key',
    )
    .addHelpText(
      'after',
      `
Says what the document is, whom it binds, and whether it holds now: signed by this key, in form, not expired.
Exit status 1 if it does not.

  espalier verify /var/lib/espalier-agent/catalogue.json --key credential.json`,
    )
    .action((file: string, options: Options) => {
      const bytes = read(file)
      const key = keyOf(options.key)
      const { type, ...said } = verified(file, bytes, key)
      const { issuedAt, expiresAt, ...rest } = said as { issuedAt: number; expiresAt: number }
      const plain = Object.entries(rest).filter(([, v]) => typeof v === 'string' || typeof v === 'number')
      outputOf(options).result({ valid: true, type, keyid: keyId(key), ...said }, () =>
        facts({
          Document: `${type}, valid`,
          ...Object.fromEntries(plain.filter(([name]) => name !== 'password')),
          Issued: show.time(issuedAt),
          Expires: show.time(expiresAt),
          'Signed by': keyId(key),
        }),
      )
    })
}

/** @throws what `unseal` throws for a document that does not hold */
function verified(file: string, bytes: Buffer, key: KeyObject): { readonly type: string } {
  const envelope = parseJson(file, 16 * 2 ** 20, bytes)
  const type = (envelope as { signed?: { type?: unknown } } | null)?.signed?.type
  const message = typeof type === 'string' ? documents[type] : undefined
  if (!message || typeof type !== 'string')
    throw new EspalierError(
      'MESSAGE_INVALID',
      `${file} is no signed document of Espalier's: those are ${Object.keys(documents).join(', ')}`,
    )
  const content = unseal(message, bytes, { keys: [key], now: Date.now(), bound: {}, atLeast: 0 })
  return { ...(content as object), type }
}

function read(file: string): Buffer {
  try {
    return readFileSync(file)
  } catch (cause) {
    throw new EspalierError('FILE_NOT_FOUND', `'${file}' cannot be read`, { cause })
  }
}

/** @throws KEY_INVALID, FILE_NOT_FOUND */
function keyOf(given: string): KeyObject {
  if (/^[A-Za-z0-9_-]{43}$/.test(given)) return publicKeyFrom(given)
  const text = read(given).toString()
  try {
    return text.includes('-----BEGIN')
      ? createPublicKey(text)
      : publicKeyFrom(JSON.parse(text).servicePublicKey)
  } catch (cause) {
    throw new EspalierError(
      'KEY_INVALID',
      `${given} holds no key of a service; give its text, a PEM file, or a device's credential file`,
      { cause },
    )
  }
}
