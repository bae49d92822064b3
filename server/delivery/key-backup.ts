import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  type KeyObject,
  randomBytes,
  scryptSync,
} from 'node:crypto'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { EspalierError } from '@espalier/shared'
import { check, defineMessage, parse, parseJson, roots } from '@espalier/shared/messages/index.js'
import { publicKeyText } from '@espalier/shared/signing.js'
import * as Type from 'typebox'
import { chainIn, keyFiles, newestRoot } from './keys.js'
import { rootKeyIn } from './rotation.js'
import { writeSecret } from './secret-file.js'

/** Keys as they are kept elsewhere: PEM, and the roots that name them. */
const Kept = Type.Object({
  root: Type.String(),
  signing: Type.String(),
  secret: Type.String(),
  roots: Type.String(),
})
type Kept = Type.Static<typeof Kept>
const kept = defineMessage('keys backup', 2 ** 20, Kept)

const Sealed = Type.Object({
  salt: Type.String(),
  nonce: Type.String(),
  tag: Type.String(),
  text: Type.String(),
})
const sealed = defineMessage('sealed keys backup', 2 ** 21, Sealed)

/** Bytes of a tag of AES-GCM, none shorter of which is taken, and of the service's secret. */
const [TAG, SECRET] = [16, 32]
/** scrypt's cost (RFC 7914): 128 MiB for each guess at a passphrase. */
const cost = { N: 2 ** 17, r: 8, p: 1, maxmem: 256 * 2 ** 20 }
const keyOf = (passphrase: string, salt: Buffer) => scryptSync(passphrase, salt, 32, cost)

/**
 * All keys of a folder as one text; under a passphrase nobody else reads it. The root key is given where it is kept elsewhere.
 * @throws KEY_INVALID
 */
export function backupOf(folder: string, passphrase?: string, rootKey?: KeyObject): string {
  const files = keyFiles(folder)
  const root = rootKey ?? rootKeyIn(folder, newestRoot(chainIn(files.roots)))
  const content: Kept = {
    root: root.export({ type: 'pkcs8', format: 'pem' }).toString(),
    signing: readFileSync(files.signing, 'utf8'),
    secret: readFileSync(files.secret, 'utf8'),
    roots: readFileSync(files.roots, 'utf8'),
  }
  if (passphrase === undefined) return `${JSON.stringify(content, null, 2)}\n`
  const [salt, nonce] = [randomBytes(16), randomBytes(12)]
  const cipher = createCipheriv('aes-256-gcm', keyOf(passphrase, salt), nonce)
  const text = Buffer.concat([cipher.update(JSON.stringify(content), 'utf8'), cipher.final()])
  const parts = { salt, nonce, tag: cipher.getAuthTag(), text }
  const written = Object.entries(parts).map(([name, bytes]) => [name, bytes.toString('base64')])
  return `${JSON.stringify(Object.fromEntries(written))}\n`
}

/** Writes a backup's keys into a folder, whose own must not know a newer root. @throws KEY_INVALID; then nothing is changed */
export function restoreKeys(folder: string, backup: string, passphrase?: string): void {
  const content = keptIn(backup, passphrase)
  const there = rootsOf(content)
  const files = keyFiles(folder)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  if (existsSync(files.roots)) {
    const here = chainIn(files.roots).length
    if (here > there)
      throw new EspalierError(
        'KEY_INVALID',
        `the backup is older than what devices know (root ${there}, here ${here}); rotate with its root key instead: espalier keys rotate --root-key`,
      )
  }
  writeSecret(files.secret, content.secret)
  if (content.root !== content.signing) writeSecret(files.root, content.root)
  writeSecret(files.signing, content.signing)
  writeSecret(files.roots, content.roots)
}

/** How many roots a backup has. @throws KEY_INVALID unless its keys are those that the newest of them names */
function rootsOf({ root, signing, secret, roots: text }: Kept): number {
  try {
    const chain = parse(roots, Buffer.from(text)).roots
    const newest = newestRoot(chain)
    const isNamed = (pem: string, among: readonly string[]) =>
      among.includes(publicKeyText(createPrivateKey(pem)))
    const documents = newest.documents.map(({ key }) => key)
    if (
      isNamed(root, newest.root) &&
      isNamed(signing, documents) &&
      Buffer.from(secret, 'base64').length === SECRET
    )
      return chain.length
  } catch (cause) {
    throw new EspalierError('KEY_INVALID', 'the backup is damaged: it holds no keys, or no roots', { cause })
  }
  throw new EspalierError('KEY_INVALID', 'the backup is damaged: its keys are not those that its roots name')
}

/** The root key of a backup, or of a PEM file. @throws KEY_INVALID */
export function rootKeyOf(text: string, passphrase?: string): KeyObject {
  const pem =
    text.includes('-----BEGIN') && !text.trimStart().startsWith('{') ? text : keptIn(text, passphrase).root
  try {
    return createPrivateKey(pem)
  } catch (cause) {
    throw new EspalierError('KEY_INVALID', 'the file holds no private key', { cause })
  }
}

function keptIn(backup: string, passphrase?: string): Kept {
  const found = parseJson('keys backup', sealed.maxBytes, Buffer.from(backup))
  if (typeof found !== 'object' || found === null || !('salt' in found)) return check(kept, found)
  if (passphrase === undefined)
    throw new EspalierError(
      'KEY_INVALID',
      'the backup is under a passphrase; name its file with --passphrase-file',
    )
  const parts = check(sealed, found)
  const [salt, nonce, tag, text] = [parts.salt, parts.nonce, parts.tag, parts.text].map((p) =>
    Buffer.from(p, 'base64'),
  )
  try {
    const decipher = createDecipheriv('aes-256-gcm', keyOf(passphrase, salt), nonce, { authTagLength: TAG })
    decipher.setAuthTag(tag)
    const opened = Buffer.concat([decipher.update(text), decipher.final()])
    return check(kept, JSON.parse(opened.toString('utf8')))
  } catch (cause) {
    throw new EspalierError('KEY_INVALID', 'the passphrase is not the one of this backup, or it is damaged', {
      cause,
    })
  }
}
