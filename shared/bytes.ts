import { EspalierError } from './errors.js'

const units = {
  B: 1,
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
} as const

const factors = new Map(Object.entries(units).map(([unit, factor]) => [unit.toLowerCase(), factor]))

/**
 * A size such as `4MB`, `1.5 MiB` or `4096` in whole bytes.
 * @throws SIZE_INVALID if it is no number, has an unknown unit, or is beyond 2^53.
 */
export function parseBytes(text: string): number {
  const match = /^(\d+(?:\.\d+)?|\.\d+)\s*([a-z]*)$/i.exec(text.trim())
  const factor = factors.get((match?.[2] || 'B').toLowerCase())
  const bytes = match && factor ? Math.round(Number(match[1]) * factor) : Number.NaN
  if (!Number.isSafeInteger(bytes)) {
    throw new EspalierError(
      'SIZE_INVALID',
      `'${text}' is not a size; write a number and one of ${Object.keys(units).join(', ')}, for example 4MB or 1.5MiB`,
    )
  }
  return bytes
}

/** Bytes for people, in decimal units with three significant digits: `812 B`, `4.19 MB`. */
export function formatBytes(bytes: number): string {
  if (bytes < 0) return `-${formatBytes(-bytes)}`
  if (bytes < 999.5) return `${Math.round(bytes)} B`
  for (const unit of ['kB', 'MB'] as const) {
    const value = bytes / units[unit]
    if (value < 999.5) return `${threeDigits(value)} ${unit}`
  }
  return `${threeDigits(bytes / units.GB)} GB`
}

const threeDigits = (value: number) => (value >= 99.95 ? value.toFixed(0) : value.toPrecision(3))
