import { randomBytes } from 'node:crypto'

const digits = '0123456789abcdefghijkmnpqrstuvwxyz'

/** A new id such as `c0m3k9x1p2q7w4z8`: `prefix`, then letters and digits that sort by time of making. */
export function newId(prefix: string, now = Date.now()): string {
  let time = ''
  for (let n = now, i = 0; i < 9; i++, n = Math.floor(n / 34)) time = digits[n % 34] + time
  return prefix + time + Array.from(randomBytes(7), (b) => digits[b % 32]).join('')
}
