import { readFileSync, statSync } from 'node:fs'
import { asEspalierError, EspalierError } from '@espalier/shared'
import { publicKeyFrom } from '@espalier/shared/signing.js'
import { parseBroker } from './net/socket.js'

/** What `espalier devices create` writes for one device. */
export interface Credential {
  readonly id: string
  readonly password: string
  /** Such as `mqtt://host:1883`. */
  readonly broker: string
  /** The service's Ed25519 key: 32 bytes in base64url. */
  readonly servicePublicKey: string
}

const fields = ['id', 'password', 'broker', 'servicePublicKey'] as const

/** Reads a device's credential file. @throws CREDENTIAL_INVALID, naming what is wrong with it. */
export function readCredential(path: string): Credential {
  const invalid = (why: string, cause?: unknown) =>
    new EspalierError(
      'CREDENTIAL_INVALID',
      `credential ${path}: ${why}; make one with: espalier devices create`,
      {
        cause,
      },
    )
  let value: unknown
  try {
    if ((statSync(path).mode & 0o077) !== 0) throw invalid('other users can read it; chmod 600 it')
    value = JSON.parse(readFileSync(path, 'utf8'))
  } catch (e) {
    if (e instanceof EspalierError) throw e
    throw invalid(asEspalierError(e).message, e)
  }
  if (typeof value !== 'object' || value === null) throw invalid('not a JSON object')
  const found = value as Record<string, unknown>
  for (const field of fields) {
    if (typeof found[field] !== 'string' || found[field] === '') throw invalid(`"${field}" is missing`)
  }
  const credential = value as Credential
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/.test(credential.id))
    throw invalid(`"id" '${credential.id}' is no device id`)
  publicKeyFrom(credential.servicePublicKey)
  parseBroker(credential.broker)
  return credential
}
