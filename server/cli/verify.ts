import { createPublicKey, type KeyObject } from 'node:crypto'
import { asEspalierError, EspalierError } from '@espalier/shared'
import {
  catalogue,
  desired,
  newCredential,
  command as order,
  parse,
  parseJson,
  roots,
} from '@espalier/shared/messages/index.js'
import { keyId, publicKeyFrom, type SignedMessage, signersOf, unseal } from '@espalier/shared/signing.js'
import { documentKeys, pinned, stepsOf, type Trust } from '@espalier/shared/trust.js'
import { type Define, outputOf } from './command.js'
import { facts, show, table } from './output.js'
import { readSmall, smallFileBytes } from './small-file.js'

const documents: Readonly<Record<string, SignedMessage>> = {
  desired,
  catalogue,
  command: order,
  credential: newCredential,
}
const ownKey = '.espalier/service.key'
const keyForms = "the service's key: its text, a PEM file, or a device's credential file"
const giveKey = `give ${keyForms}, with --key; where its keys were rotated, its roots.json as well, with --roots`
const giveRoots = "if the service's keys were rotated, give its roots.json with --roots"

interface Options {
  readonly key?: string
  readonly roots?: string
  readonly json?: boolean
}

export const command: Define = (c) => {
  c.argument(
    '<file>',
    'a signed document, as it travels: a catalogue, a desired, a command, or the roots (keys)',
  )
    .option('--key <key>', `${keyForms}; ${ownKey} if not given`)
    .option(
      '--roots <file>',
      "the service's roots: roots.json of its data folder or of a device; they are followed from the key as a device does",
    )
    .addHelpText(
      'after',
      `
Says what the document is, whom it binds, and whether it holds now: signed by this key, or by one that the roots lead to,
in form, not expired. Of roots it says each version: who signed it, and when it expires. Exit status 1 if it does not hold.

  espalier verify STATE/catalogue.json --key credential.json --roots STATE/roots.json
  espalier verify STATE/roots.json --key credential.json`,
    )
    .action((file: string, options: Options) => {
      const bytes = readSmall(file)
      const begun = pinned(keyOf(options.key ?? ownKey))
      const envelope = parseJson(file, smallFileBytes, bytes)
      const out = outputOf(options)
      if (typeof envelope === 'object' && envelope !== null && 'roots' in envelope) {
        const versions = versionsOf(begun, bytes)
        out.result({ valid: true, type: 'roots', versions }, () => aboutRoots(versions))
        return
      }
      const trust = options.roots === undefined ? begun : newest(begun, readSmall(options.roots))
      const { type, ...said } = told(options, () => verified(file, bytes, documentKeys(trust, Date.now())))
      const [signer] = signersOf(envelope, documentKeys(trust, Date.now())).map(keyId)
      const root = trust.version > 0 ? { version: trust.version, expiresAt: trust.expiresAt } : null
      out.result({ valid: true, type, keyid: signer, root, ...said }, () => about(type, said, signer, trust))
    })
}

/** What `says` returns; a signature that does not hold ends in what the command line may lack. */
function told<T>({ roots }: Options, says: () => T): T {
  try {
    return says()
  } catch (thrown) {
    const error = asEspalierError(thrown)
    if (error.code !== 'SIGNATURE_INVALID' || roots !== undefined) throw error
    throw new EspalierError(error.code, `${error.message}; ${giveRoots}`, { cause: error })
  }
}

function about(type: string, said: object, signer: string, { version, expiresAt }: Trust): string {
  const { issuedAt, expiresAt: end, ...rest } = said as { issuedAt: number; expiresAt: number }
  const plain = Object.entries(rest).filter(([, v]) => typeof v === 'string' || typeof v === 'number')
  return facts({
    Document: `${type}, valid`,
    ...Object.fromEntries(plain.filter(([name]) => name !== 'password')),
    Issued: show.time(issuedAt),
    Expires: show.time(end),
    'Signed by': signer,
    ...(version > 0 && { 'By root': `version ${version}, which expires ${show.time(expiresAt) ?? 'never'}` }),
  })
}

/** What is to be said of one version of the root. */
interface Version {
  readonly version: number
  readonly expiresAt: number | null
  /** Key ids: who signed it, who may say so anew, and who signs documents. */
  readonly signedBy: readonly string[]
  readonly root: readonly string[]
  readonly documents: readonly { readonly keyid: string; readonly until: number | null }[]
}

/** Each root from the key on. @throws what `follow` throws; DOCUMENT_EXPIRED where the last one has expired */
function versionsOf(begun: Trust, bytes: Buffer): Version[] {
  const steps = stepsOf(begun, bytes)
  documentKeys(steps[steps.length - 1], Date.now())
  const chain = parse(roots, bytes).roots.slice(-steps.length)
  return steps.map(({ version, expiresAt, root, documents }, i) => ({
    ...{ version, expiresAt, root: root.map(keyId) },
    signedBy: [...new Set(signersOf(chain[i], [...(steps[i - 1] ?? begun).root, ...root]).map(keyId))],
    documents: documents.map(({ key, until }) => ({ keyid: keyId(key), until })),
  }))
}

function aboutRoots(versions: readonly Version[]): string {
  const short = (keyid: string) => keyid.slice(0, 16)
  return table(versions, [
    ['ROOT', (v) => v.version],
    ['EXPIRES', (v) => show.time(v.expiresAt) ?? 'never'],
    ['SIGNED BY', (v) => v.signedBy.map(short).join(' ')],
    ['ROOT KEY', (v) => v.root.map(short).join(' ')],
    [
      'SIGN DOCUMENTS',
      (v) =>
        v.documents
          .map(({ keyid, until }) => short(keyid) + (until === null ? '' : ` until ${show.time(until)}`))
          .join(', '),
    ],
  ])
}

const newest = (begun: Trust, bytes: Buffer): Trust => stepsOf(begun, bytes).at(-1) ?? begun

/** @throws what `unseal` throws for a document that does not hold */
function verified(file: string, bytes: Buffer, keys: readonly KeyObject[]): { readonly type: string } {
  const envelope = parseJson(file, smallFileBytes, bytes)
  const type = (envelope as { signed?: { type?: unknown } } | null)?.signed?.type
  const message = typeof type === 'string' ? documents[type] : undefined
  if (!message || typeof type !== 'string')
    throw new EspalierError(
      'MESSAGE_INVALID',
      `${file} is no signed document of Espalier's: those are ${Object.keys(documents).join(', ')}, and roots`,
    )
  const content = unseal(message, bytes, { keys, now: Date.now(), bound: {}, atLeast: 0 })
  return { ...(content as object), type }
}

/** @throws KEY_INVALID, FILE_NOT_FOUND, MESSAGE_TOO_LARGE */
function keyOf(given: string): KeyObject {
  if (/^[A-Za-z0-9_-]{43}$/.test(given)) return publicKeyFrom(given)
  const text = readSmall(given, giveKey).toString()
  try {
    return text.includes('-----BEGIN')
      ? createPublicKey(text)
      : publicKeyFrom(JSON.parse(text).servicePublicKey)
  } catch (cause) {
    throw new EspalierError('KEY_INVALID', `${given} holds no key of a service; ${giveKey}`, { cause })
  }
}
