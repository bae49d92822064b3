import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { EspalierError } from '@espalier/shared'

/**
 * The service's Ed25519 private key, made on first use in a file that only its owner may read (0600).
 * Devices know its public half: a lost key means that every device needs a new credential.
 * @throws KEY_INVALID
 */
export function serviceKey(path: string): KeyObject {
  const made = makeOnce(path)
  if (made) return made
  try {
    const key = createPrivateKey(readFileSync(path))
    if (key.asymmetricKeyType === 'ed25519') return key
  } catch (cause) {
    throw invalid(path, cause)
  }
  throw invalid(path)
}

function makeOnce(path: string): KeyObject | undefined {
  mkdirSync(dirname(path), { recursive: true })
  try {
    const file = openSync(path, 'wx', 0o600)
    const { privateKey } = generateKeyPairSync('ed25519')
    writeSync(file, privateKey.export({ type: 'pkcs8', format: 'pem' }).toString())
    fsyncSync(file)
    closeSync(file)
    return privateKey
  } catch (thrown) {
    if (thrown instanceof Error && 'code' in thrown && thrown.code === 'EEXIST') return
    throw thrown
  }
}

const invalid = (path: string, cause?: unknown) =>
  new EspalierError(
    'KEY_INVALID',
    `${path} is not the service's Ed25519 key; restore it from a backup. Without it devices do not trust this service`,
    { cause },
  )
