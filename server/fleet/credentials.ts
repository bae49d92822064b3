import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'

/** 256 random bits: no dictionary holds them, so that one SHA-256 is as good as a slow hash. */
export const newPassword = (): string => randomBytes(32).toString('base64url')

export const hashPassword = (password: string): Buffer => createHash('sha256').update(password).digest()

export const isPassword = (password: string, hash: Uint8Array): boolean =>
  timingSafeEqual(hashPassword(password), hash)
