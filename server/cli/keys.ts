import { createPublicKey } from 'node:crypto'
import { closeSync, existsSync, openSync, rmSync } from 'node:fs'
import { EspalierError } from '@espalier/shared'
import type { Root } from '@espalier/shared/messages/index.js'
import { keyId, publicKeyFrom, publicKeyText } from '@espalier/shared/signing.js'
import { type Command, Option } from 'commander'
import {
  backupOf,
  chainIn,
  keyFiles,
  keyIn,
  newestRoot,
  renew,
  restoreKeys,
  rootKeyOf,
  rotate,
  writeSecret,
} from '../delivery/index.js'
import { lockFolder, prepareFolder } from '../store/index.js'
import { type Define, outputOf } from './command.js'
import { duration } from './duration.js'
import { facts, show } from './output.js'
import { readSmall } from './small-file.js'

interface Options {
  readonly data: string
  readonly passphraseFile?: string
  readonly json?: boolean
}

export const command: Define = (keys) => {
  const define = (name: string, what: string) =>
    keys
      .command(name)
      .description(what)
      .option('--data <dir>', 'the data folder', process.env.ESPALIER_DATA ?? '.espalier')

  define('show', 'say which keys devices trust, and where the private ones are').action(
    (options: Options) => {
      requireKeys(options.data)
      const root = newestRoot(chainIn(keyFiles(options.data).roots))
      outputOf(options).result(told(options.data, root), () => about(options.data, root))
    },
  )

  const rotating = define(
    'rotate',
    'give the service another signing key, which devices learn from the root key; it must not run',
  )
    .option('--root', 'another root key instead')
    .addOption(
      new Option('--overlap <duration>', 'how long the old signing key still holds; 0 where it was stolen')
        .argParser(duration)
        .default(duration('30d'), '30d'),
    )
  rootKeyOptions(rotating).action(
    (options: Options & { root?: boolean; overlap: number; rootKey?: string }) => {
      requireKeys(options.data)
      const rootKey = rootKeyFrom(options)
      const root = alone(options.data, () =>
        rotate(options.data, {
          which: options.root ? 'root' : 'signing',
          overlapMs: options.overlap,
          rootKey,
          now: Date.now(),
        }),
      )
      outputOf(options).result(told(options.data, root), () => about(options.data, root))
    },
  )

  rootKeyOptions(
    define(
      'renew',
      'let the root hold for another year; the service does so itself where the root key is in the data folder',
    ),
  ).action((options: Options & { rootKey?: string }) => {
    requireKeys(options.data)
    const rootKey = rootKeyFrom(options)
    const root = alone(options.data, () => renew(options.data, { rootKey, now: Date.now() }))
    outputOf(options).result(told(options.data, root), () => about(options.data, root))
  })

  define('backup', 'write all keys to a file that is kept elsewhere')
    .requiredOption('-o, --output <file>', 'where to')
    .option('--passphrase-file <file>', 'a file whose first line the backup is sealed under')
    .option(
      '--root-key <file>',
      'the backup or PEM file with the root key, where it is not in the data folder',
    )
    .option('--offline', 'take the root key out of the data folder afterwards')
    .action((options: Options & { output: string; offline?: boolean; rootKey?: string }) => {
      requireKeys(options.data)
      const files = keyFiles(options.data)
      if (options.offline && !existsSync(files.root))
        throw new EspalierError(
          'KEY_INVALID',
          'one key is both root and signing, and the service needs it; make them two first: espalier keys rotate',
        )
      const text = backupOf(options.data, passphrase(options), rootKeyFrom(options))
      reserve(options.output)
      writeSecret(options.output, text)
      if (options.offline) rmSync(files.root)
      outputOf(options).result({ backup: options.output, offline: options.offline ?? false }, () =>
        [
          `the keys are in ${options.output}; keep it where this machine's thief does not look`,
          ...(options.offline
            ? ['the root key is there alone now; keys rotate asks for it: --root-key']
            : []),
        ].join('\n'),
      )
    })

  define('restore <file>', 'put the keys of a backup in place; the service must not run')
    .option('--passphrase-file <file>', 'what the backup was written under')
    .action((file: string, options: Options) => {
      const text = readSmall(file).toString()
      prepareFolder(options.data)
      alone(options.data, () => restoreKeys(options.data, text, passphrase(options)))
      const root = newestRoot(chainIn(keyFiles(options.data).roots))
      outputOf(options).result(told(options.data, root), () => about(options.data, root))
    })
}

/** @throws FILE_NOT_FOUND where no service ever kept keys */
function requireKeys(data: string): void {
  const { roots, signing } = keyFiles(data)
  if (existsSync(roots) || existsSync(signing)) return
  throw new EspalierError(
    'FILE_NOT_FOUND',
    `'${data}' is no data folder of a service: it holds no keys; name the one that espalier up was given, with --data`,
  )
}

/** Does what must not happen beside a running service. @throws STATE_LOCKED */
function alone<T>(data: string, work: () => T): T {
  const release = lockFolder(data)
  try {
    return work()
  } finally {
    release()
  }
}

function told(data: string, root: Root) {
  const files = keyFiles(data)
  const here = [files.root, files.signing]
    .filter(existsSync)
    .map((file) => publicKeyText(createPublicKey(keyIn(file))))
  const id = (key: string) => keyId(publicKeyFrom(key))
  return {
    version: root.version,
    issuedAt: root.issuedAt,
    expiresAt: root.expiresAt ?? null,
    root: root.root.map((key) => ({ key, keyid: id(key), here: here.includes(key) })),
    documents: root.documents.map(({ key, until }) => ({
      key,
      keyid: id(key),
      until,
      here: here.includes(key),
    })),
  }
}

function about(data: string, root: Root): string {
  const said = told(data, root)
  const where = (here: boolean) => (here ? 'here' : 'elsewhere')
  return facts({
    'Root version': String(said.version),
    Since: show.time(said.issuedAt),
    Expires: expiry(said.expiresAt),
    'Root key': said.root.map(({ keyid, here }) => `${keyid.slice(0, 16)}, ${where(here)}`).join('; '),
    'Signed by': said.documents
      .map(({ keyid, until }) => keyid.slice(0, 16) + (until === null ? '' : ` until ${show.time(until)}`))
      .join('; '),
  })
}

function expiry(at: number | null): string | null {
  if (at === null) return 'never'
  const isPast = at <= Date.now()
  return `${show.time(at)}${isPast ? ', so devices believe nothing new; renew it: espalier keys renew' : ''}`
}

const rootKeyOptions = (command: Command) =>
  command
    .option(
      '--root-key <file>',
      'the backup or PEM file with the root key, where it is not in the data folder',
    )
    .option('--passphrase-file <file>', 'what the backup was written under')

function passphrase({ passphraseFile }: Options): string | undefined {
  if (passphraseFile === undefined) return undefined
  const [line] = readSmall(passphraseFile).toString().split('\n')
  if (line.length >= 12) return line
  throw new EspalierError(
    'OPTION_INVALID',
    `the first line of ${passphraseFile} is shorter than 12 characters`,
  )
}

const rootKeyFrom = (options: Options & { rootKey?: string }) =>
  options.rootKey === undefined
    ? undefined
    : rootKeyOf(readSmall(options.rootKey).toString(), passphrase(options))

/** @throws WRITE_FAILED for a file that exists or cannot be made */
function reserve(file: string): void {
  try {
    closeSync(openSync(file, 'wx', 0o600))
  } catch (cause) {
    throw new EspalierError(
      'WRITE_FAILED',
      `'${file}' exists or cannot be written; name another with --output`,
      { cause },
    )
  }
}
