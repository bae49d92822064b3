import {
  createPrivateKey,
  createSecretKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { EspalierError } from '@espalier/shared'
import { parse, type Root, root, roots } from '@espalier/shared/messages/index.js'
import { publicKeyText, seal } from '@espalier/shared/signing.js'
import { writeSecret } from './secret-file.js'

/** How long a root holds: what must be renewed while the root key is at hand, and announces itself where it is not. */
export const rootLifetimeMs = 365 * 24 * 3600 * 1000

/** The service's keys, in files that only their owner may read. */
export interface ServiceKeys {
  /** Signs what devices act on. */
  readonly signing: KeyObject
  /** From it new passwords are drawn, and what is kept sealed. */
  readonly secret: KeyObject
  /** The public half of the root key, which devices are given when they come in. */
  readonly rootKey: string
}

/**
 * Where the keys lie. `root` is a file of its own once the signing key has been changed: until then one key is both. A `next`
 * key takes its place when the root that names it is on disk.
 */
export const keyFiles = (folder: string) => ({
  root: join(folder, 'root.key'),
  signing: join(folder, 'service.key'),
  nextRoot: join(folder, 'root.key.next'),
  nextSigning: join(folder, 'service.key.next'),
  secret: join(folder, 'service.secret'),
  roots: join(folder, 'roots.json'),
})

/** The keys of a data folder, made on first use. @throws KEY_INVALID for one that is damaged, lost, or no longer trusted */
export function serviceKeys(folder: string, now: () => number = Date.now): ServiceKeys {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const files = keyFiles(folder)
  if (!existsSync(files.secret)) writeSecret(files.secret, randomBytes(32).toString('base64'))
  if (!existsSync(files.roots)) begin(folder, now())
  finishRotation(folder)
  const signing = keyIn(files.signing)
  const last = newestRoot(chainIn(files.roots))
  if (!last.documents.some(({ key }) => key === publicKeyText(signing)))
    throw invalid(files.signing, 'is not the key that devices were told of')
  return {
    signing,
    secret: createSecretKey(Buffer.from(readFileSync(files.secret, 'utf8'), 'base64')),
    rootKey: last.root[0],
  }
}

/** An Ed25519 private key in PEM. @throws KEY_INVALID */
export function keyIn(path: string): KeyObject {
  try {
    const key = createPrivateKey(readFileSync(path))
    if (key.asymmetricKeyType === 'ed25519') return key
  } catch (cause) {
    throw invalid(path, "is not the service's Ed25519 key", cause)
  }
  throw invalid(path, "is not the service's Ed25519 key")
}

/** Every version of the root, as envelopes, oldest first. @throws KEY_INVALID */
export function chainIn(path: string): readonly unknown[] {
  try {
    return parse(roots, readFileSync(path)).roots
  } catch (cause) {
    throw invalid(path, 'does not hold the roots that devices follow', cause)
  }
}

/** What the newest version says; it is our own. */
export const newestRoot = (chain: readonly unknown[]): Root => (chain.at(-1) as { signed: Root }).signed

export const writeKey = (path: string, key: KeyObject): void =>
  writeSecret(path, key.export({ type: 'pkcs8', format: 'pem' }).toString())

export const newKey = (): KeyObject => generateKeyPairSync('ed25519').privateKey

/** Puts one more version behind the others, on disk before it returns. */
export function appendRoot(
  path: string,
  before: readonly unknown[],
  content: Root,
  ...by: KeyObject[]
): void {
  const envelope: unknown = JSON.parse(seal(root, content, ...by).toString())
  writeSecret(path, `${JSON.stringify({ roots: [...before, envelope] })}\n`)
}

/** Puts a new key in its place if the newest root names it; one that was not named yet is of a rotation that never was. */
export function finishRotation(folder: string): void {
  const files = keyFiles(folder)
  const last = newestRoot(chainIn(files.roots))
  const documents = last.documents.map(({ key }) => key)
  for (const [next, place, named] of [
    [files.nextRoot, files.root, last.root],
    [files.nextSigning, files.signing, documents],
  ] as const)
    if (existsSync(next) && named.includes(publicKeyText(keyIn(next)))) renameSync(next, place)
}

function begin(folder: string, issuedAt: number): void {
  const files = keyFiles(folder)
  if (!existsSync(files.signing)) writeKey(files.signing, newKey())
  const key = keyIn(files.signing)
  const text = publicKeyText(key)
  const documents = [{ key: text, until: null }]
  const expiresAt = issuedAt + rootLifetimeMs
  appendRoot(files.roots, [], { type: 'root', version: 1, issuedAt, expiresAt, root: [text], documents }, key)
}

const invalid = (path: string, what: string, cause?: unknown) =>
  new EspalierError(
    'KEY_INVALID',
    `${path} ${what}; restore it from a backup: espalier keys restore. Without it devices do not trust this service`,
    { cause },
  )
