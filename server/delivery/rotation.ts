import type { KeyObject } from 'node:crypto'
import { existsSync } from 'node:fs'
import { EspalierError } from '@espalier/shared'
import type { Root } from '@espalier/shared/messages/index.js'
import { publicKeyText } from '@espalier/shared/signing.js'
import {
  appendRoot,
  chainIn,
  finishRotation,
  keyFiles,
  keyIn,
  newestRoot,
  newKey,
  rootLifetimeMs,
  writeKey,
} from './keys.js'

export interface Rotation {
  /** `signing`: what signs documents; `root`: what says which keys those are. */
  readonly which: 'signing' | 'root'
  /** How long documents of the old signing key still hold, ms; 0 where it was stolen. */
  readonly overlapMs: number
  /** The root key, where it is not kept in the folder. */
  readonly rootKey?: KeyObject
  readonly now: number
}

/**
 * Gives the service of a folder, which must not run, another key, and says so in a new root: signed by the root key of the one
 * before, and by its own (TUF §6.1). Devices follow when they next connect, however many versions they missed.
 * @throws KEY_INVALID
 */
export function rotate(folder: string, { which, overlapMs, rootKey, now }: Rotation): Root {
  const files = keyFiles(folder)
  const { chain, last, key: old, base } = successor(folder, rootKey, now)
  const key = newKey()
  const text = publicKeyText(key)
  if (which === 'root') {
    if (!existsSync(files.root) && publicKeyText(keyIn(files.signing)) === publicKeyText(old))
      throw new EspalierError('KEY_INVALID', 'one key is both root and signing; rotate the signing key first')
    writeKey(files.nextRoot, key)
    appendRoot(files.roots, chain, { ...base, root: [text] }, old, key)
  } else {
    // What was both becomes the root key alone.
    if (rootKey === undefined && !existsSync(files.root)) writeKey(files.root, old)
    const still = last.documents
      .map((document) => ({ ...document, until: Math.min(document.until ?? Infinity, now + overlapMs) }))
      .filter(({ until }) => until > now)
      .slice(0, 7)
    writeKey(files.nextSigning, key)
    appendRoot(files.roots, chain, { ...base, documents: [{ key: text, until: null }, ...still] }, old)
  }
  finishRotation(folder)
  return newestRoot(chainIn(files.roots))
}

/**
 * Says the newest root once more, so that it holds for another `rootLifetimeMs` from `now`; the keys stay what they are. An
 * expired one is renewed as well: devices follow it to its successor (TUF §5.3.10).
 * @throws KEY_INVALID
 */
export function renew(folder: string, { rootKey, now }: Pick<Rotation, 'rootKey' | 'now'>): Root {
  const { chain, key, base } = successor(folder, rootKey, now)
  appendRoot(keyFiles(folder).roots, chain, base, key)
  return base
}

/** What the next root begins with, and the key that signs it. */
function successor(folder: string, rootKey: KeyObject | undefined, now: number) {
  finishRotation(folder)
  const chain = chainIn(keyFiles(folder).roots)
  const last = newestRoot(chain)
  const key = rootKey ?? rootKeyIn(folder, last)
  if (!last.root.includes(publicKeyText(key)))
    throw new EspalierError('KEY_INVALID', 'this is not the root key that devices trust; name another')
  const base: Root = {
    ...{ ...last, version: last.version + 1 },
    ...{ issuedAt: now, expiresAt: now + rootLifetimeMs },
  }
  return { chain, last, key, base }
}

/** The root key, while it is in the folder. @throws KEY_INVALID */
export function rootKeyIn(folder: string, { root }: Root): KeyObject {
  const { root: file, signing } = keyFiles(folder)
  for (const path of [file, signing]) {
    const key = existsSync(path) ? keyIn(path) : undefined
    if (key && root.includes(publicKeyText(key))) return key
  }
  throw new EspalierError(
    'KEY_INVALID',
    `the root key is not in ${folder}; name the backup that holds it with --root-key`,
  )
}
