import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { asEspalierError, EspalierError } from '@espalier/shared'
import { publicKeyFrom } from '@espalier/shared/signing.js'
import { parseBroker } from './net/socket.js'
import { errnoOf, writeAtomic } from './store/files.js'

/** What a device connects with: `espalier devices create` writes it, or `espalier-agent enrol`. */
export interface Credential {
  readonly id: string
  readonly password: string
  /** Such as `mqtt://host:1883`. */
  readonly broker: string
  /** The service's Ed25519 key: 32 bytes in base64url. */
  readonly servicePublicKey: string
  /** PEM of the authority that vouches for the broker, beside those that everybody knows. */
  readonly ca?: string
  /** When the password was given, ms since 1970; the newer of two counts. */
  readonly issuedAt?: number
}

const optional = { ca: 'string', issuedAt: 'number' } as const
const fields = ['id', 'password', 'broker', 'servicePublicKey'] as const

/** Reads a device's credential file. @throws CREDENTIAL_INVALID, naming what is wrong with it. */
export function readCredential(path: string): Credential {
  const name = `credential ${path}`
  try {
    const there = statSync(path, { throwIfNoEntry: false })
    if (!there?.isFile()) throw invalid(name, 'there is no such file')
    if ((there.mode & 0o077) !== 0) throw invalid(name, 'other users can read it; chmod 600 it')
    return credentialOf(JSON.parse(readFileSync(path, 'utf8')), name)
  } catch (e) {
    if (e instanceof EspalierError) throw e
    throw invalid(name, asEspalierError(e).message, e)
  }
}

/** What was read as JSON from somewhere that `name` tells. @throws CREDENTIAL_INVALID, KEY_INVALID */
export function credentialOf(value: unknown, name: string): Credential {
  if (typeof value !== 'object' || value === null) throw invalid(name, 'not a JSON object')
  const found = value as Record<string, unknown>
  for (const field of fields) {
    if (typeof found[field] !== 'string' || found[field] === '') throw invalid(name, `"${field}" is missing`)
  }
  for (const [field, type] of Object.entries(optional)) {
    if (found[field] !== undefined && typeof found[field] !== type)
      throw invalid(name, `"${field}" is no ${type}`)
  }
  const credential = value as Credential
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/.test(credential.id))
    throw invalid(name, `"id" '${credential.id}' is no device id`)
  publicKeyFrom(credential.servicePublicKey)
  parseBroker(credential.broker)
  return credential
}

const invalid = (name: string, why: string, cause?: unknown) =>
  new EspalierError(
    'CREDENTIAL_INVALID',
    `${name}: ${why}; get one with: espalier-agent enrol, or espalier devices create`,
    { cause },
  )

/** Writes a credential that only its owner can read. @throws a system error */
export const writeCredential = (path: string, credential: Credential): void =>
  writeAtomic(path, `${JSON.stringify(credential, null, 2)}\n`, 0o600)

const renewedFile = (stateDir: string) => join(stateDir, 'credential.json')

/**
 * The credential of the file, or the one that the service has replaced it with since. The latter lies in the state
 * directory, because the file may be where the agent must not write.
 */
export function currentCredential(path: string, stateDir: string): Credential {
  const given = readCredential(path)
  let renewed: Credential
  try {
    statSync(renewedFile(stateDir))
    renewed = readCredential(renewedFile(stateDir))
  } catch (e) {
    if (errnoOf(e) === 'ENOENT') return given
    throw e
  }
  const isOfIt = renewed.id === given.id && renewed.servicePublicKey === given.servicePublicKey
  return isOfIt && (renewed.issuedAt ?? 0) > (given.issuedAt ?? 0) ? renewed : given
}

export const keepRenewed = (stateDir: string, credential: Credential): void =>
  writeCredential(renewedFile(stateDir), credential)
