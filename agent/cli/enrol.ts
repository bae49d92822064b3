import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { asEspalierError, EspalierError } from '@espalier/shared'
import { enrolmentCode, parse as parseMessage } from '@espalier/shared/messages/index.js'
import { writeCredential } from '../credential.js'
import { enrol as ask } from '../net/enrol.js'
import { writeAtomic } from '../store/files.js'
import { parse, UsageError } from './usage.js'

/** `espalier-agent enrol`: turns the code of an operator into this device's own credential. */
export async function enrol(args: string[]): Promise<void> {
  const { values, positionals } = parse({
    args,
    allowPositionals: true,
    options: {
      credential: { type: 'string' },
      id: { type: 'string' },
      force: { type: 'boolean', default: false },
    },
  })
  const [code, ...more] = positionals
  if (code === undefined || more.length > 0)
    throw new UsageError('enrol needs the one CODE that espalier tokens create printed')
  const file = values.credential
  if (!file) throw new UsageError('enrol needs --credential FILE, where the credential is to be written')
  if (existsSync(file) && !values.force)
    throw new UsageError(`${file} exists: this device has enrolled; --force enrols it anew`)
  const credential = await ask(codeFrom(code), keyIn(`${file}.key`), values.id)
  save(() => writeCredential(file, credential))
  process.stdout.write(
    `enrolled as ${credential.id}; its credential is in ${file}\nnext: espalier-agent run --credential ${file} --state DIR\n`,
  )
}

/** @throws UsageError */
function codeFrom(text: string) {
  try {
    return parseMessage(enrolmentCode, Buffer.from(text, 'base64url'))
  } catch (e) {
    throw new UsageError(
      `this is no enrolment code (${asEspalierError(e).message}); copy all that espalier tokens create printed`,
    )
  }
}

/** The device's own key, made on first use: enrolling again after an answer that was lost is then the same device. */
function keyIn(path: string): KeyObject {
  if (existsSync(path)) {
    try {
      return createPrivateKey(readFileSync(path))
    } catch (cause) {
      throw new EspalierError('KEY_INVALID', `${path} holds no key; remove it, and enrol anew`, { cause })
    }
  }
  const { privateKey } = generateKeyPairSync('ed25519')
  save(() => writeAtomic(path, privateKey.export({ type: 'pkcs8', format: 'pem' }), 0o600))
  return privateKey
}

function save(write: () => void): void {
  try {
    write()
  } catch (cause) {
    throw new EspalierError(
      'WRITE_FAILED',
      `${asEspalierError(cause).message}; name another file with --credential`,
      {
        cause,
      },
    )
  }
}
