import { createCipheriv, createDecipheriv, hkdfSync, type KeyObject, randomBytes } from 'node:crypto'

const ALGORITHM = 'aes-256-gcm'
const NONCE = 12
const TAG = 16

/** A key for what is named so, drawn from the service's secret (HKDF, RFC 5869). */
const keyFor = (service: KeyObject, name: string): Buffer =>
  Buffer.from(hkdfSync('sha256', service.export(), '', `espalier seal\n${name}`, 32))

/** The text for keeping: nonce, tag and AES-256-GCM, in base64. Whoever has no service secret reads nothing of it. */
export function seal(service: KeyObject, name: string, text: string): string {
  const nonce = randomBytes(NONCE)
  const cipher = createCipheriv(ALGORITHM, keyFor(service, name), nonce)
  const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
  return Buffer.concat([nonce, cipher.getAuthTag(), sealed]).toString('base64')
}

/** What was sealed under this name; undefined where it was under another, by another service, or is damaged. */
export function unseal(service: KeyObject, name: string, kept: string): string | undefined {
  const bytes = Buffer.from(kept, 'base64')
  if (bytes.length < NONCE + TAG) return undefined
  const decipher = createDecipheriv(ALGORITHM, keyFor(service, name), bytes.subarray(0, NONCE))
  decipher.setAuthTag(bytes.subarray(NONCE, NONCE + TAG))
  try {
    return Buffer.concat([decipher.update(bytes.subarray(NONCE + TAG)), decipher.final()]).toString('utf8')
  } catch {
    return undefined
  }
}
