import { EspalierError } from '@espalier/shared'

/** `30m`, `12h`, `7d` or 0, in ms. */
export function duration(text: string): number {
  const [, n, unit] = /^(\d+)([mhd])$/.exec(text) ?? []
  const factors: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 }
  if (text === '0') return 0
  if (n && Number(n) > 0) return Number(n) * factors[unit]
  throw new EspalierError('OPTION_INVALID', `'${text}' is not a duration; write for example 30m, 12h or 7d`)
}
