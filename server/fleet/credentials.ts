import { createHash, hkdfSync, type KeyObject, randomBytes, timingSafeEqual } from 'node:crypto'

/** 256 random bits: no dictionary holds them, so that one SHA-256 is as good as a slow hash. */
export const newPassword = (): string => randomBytes(32).toString('base64url')

/**
 * The `n`th password that a device is given in place of its first: drawn from the service's secret (HKDF, RFC 5869), so that it
 * can be sent again and again until the device has it, and is kept nowhere but as a hash.
 */
export function passwordOf(secret: KeyObject, device: string, n: number): string {
  const bytes = hkdfSync('sha256', secret.export(), '', `espalier device password\n${device}\n${n}`, 32)
  return Buffer.from(bytes).toString('base64url')
}

export const hashPassword = (password: string): Buffer => createHash('sha256').update(password).digest()

export const isPassword = (password: string, hash: Uint8Array): boolean =>
  timingSafeEqual(hashPassword(password), hash)
