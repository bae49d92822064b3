import type { KeyObject } from 'node:crypto'
import { EspalierError } from './errors.js'
import { parse } from './messages/message.js'
import { type Root, root, roots } from './messages/root.js'
import { isSignedBy, publicKeyFrom, publicKeyText, verified } from './signing.js'

/** Whom a device believes: the newest root that it followed, or version 0, which is nothing but a key that it was given. */
export interface Trust {
  readonly version: number
  readonly root: readonly KeyObject[]
  readonly documents: readonly { readonly key: KeyObject; readonly until: number | null }[]
  readonly expiresAt: number | null
}

/** Where every device begins: with the key of its credential, in both roles. */
export const pinned = (key: KeyObject): Trust => ({
  version: 0,
  root: [key],
  documents: [{ key, until: null }],
  expiresAt: null,
})

/** The keys whose documents hold now. @throws DOCUMENT_EXPIRED where the root has expired (TUF §5.3.10): then none does */
export function documentKeys({ version, documents, expiresAt }: Trust, now: number): KeyObject[] {
  if (expiresAt !== null && expiresAt <= now)
    throw new EspalierError(
      'DOCUMENT_EXPIRED',
      `keys: root ${version} expired ${new Date(expiresAt).toISOString()}, and nothing new is believed; check this machine's clock, or else, where the service is: espalier keys renew`,
    )
  return documents.filter(({ until }) => until === null || now < until).map(({ key }) => key)
}

/**
 * The trust after the roots in `bytes`, the message `keys`: from the version that is known, one by one (TUF §5.3.3 to 5.3.9).
 * What was given a key begins at the first root that is signed by it and names it. Versions in between may have expired, and so
 * may the last: `documentKeys` says what that means.
 * @throws MESSAGE_INVALID, MESSAGE_TOO_LARGE, SIGNATURE_INVALID
 */
export function follow(trust: Trust, bytes: Uint8Array): Trust {
  return stepsOf(trust, bytes).at(-1) ?? trust
}

/** The trust after each root that `follow` goes through. */
export function stepsOf(trust: Trust, bytes: Uint8Array): Trust[] {
  const steps: Trust[] = []
  for (const one of ahead(trust, parse(roots, bytes).roots)) steps.push(next(steps.at(-1) ?? trust, one))
  return steps
}

/** The roots that come after what is known. */
function ahead(trust: Trust, chain: readonly unknown[]): readonly unknown[] {
  if (trust.version > 0) return chain.filter((one) => versionOf(one) > trust.version)
  const base = chain.findIndex((one) => isSignedBy(one, trust.root) && names(one, trust.root[0]))
  if (base < 0)
    throw new EspalierError('SIGNATURE_INVALID', 'keys: no root is by the key that this device was given')
  return chain.slice(base)
}

function next(trust: Trust, envelope: unknown): Trust {
  const content = verified(root, envelope, trust.root)
  if (trust.version > 0 && content.version !== trust.version + 1)
    throw new EspalierError(
      'SIGNATURE_INVALID',
      `keys: root ${content.version} does not follow root ${trust.version}`,
    )
  const own = content.root.map(publicKeyFrom)
  verified(root, envelope, own)
  const documents = content.documents.map(({ key, until }) => ({ key: publicKeyFrom(key), until }))
  return { version: content.version, root: own, documents, expiresAt: content.expiresAt ?? null }
}

/** What an envelope says of its version before anybody has looked who signed it. */
function versionOf(envelope: unknown): number {
  const { version } = (envelope as { signed?: Partial<Root> } | null)?.signed ?? {}
  return typeof version === 'number' ? version : 0
}

function names(envelope: unknown, key: KeyObject): boolean {
  const { root: keys } = (envelope as { signed?: Partial<Root> } | null)?.signed ?? {}
  return Array.isArray(keys) && keys.includes(publicKeyText(key))
}
