import { formatBytes } from '@espalier/shared/bytes.js'
import type { Variant } from '../http/schemas/index.js'

/** Stands where a value is not known. */
export const none = '–'

type Maybe = number | null | undefined

const known =
  (format: (value: number) => string) =>
  (value: Maybe): string =>
    value === null || value === undefined ? none : format(value)

/** Locale-independent, so that a screenshot and a page read over a shoulder say the same. */
const grouped = new Intl.NumberFormat('en')

export const bytes = known(formatBytes)
/** Two decimals, so that a column of them aligns. */
export const ms = known((value) => value.toFixed(2))
export const percent = known((share) => (share * 100).toFixed(2))
export const count = known((value) => grouped.format(value))
/** Short counts for wide columns: `23.1 M`. */
export const short = known((value) => {
  for (const [unit, size] of [
    ['G', 1e9],
    ['M', 1e6],
    ['k', 1e3],
  ] as const) {
    if (value >= size) return `${(value / size).toPrecision(3)} ${unit}`
  }
  return String(value)
})

export const withUnit = (text: string, unit: string) => (text === none ? none : `${text} ${unit}`)

/** The first digits of a digest, enough to tell variants apart. */
export const digest = (hex: string) => hex.slice(0, 12)

const dateAndTime = new Intl.DateTimeFormat('en-GB', {
  day: 'numeric',
  month: 'short',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
})
const fullDate = new Intl.DateTimeFormat('en-GB', { dateStyle: 'long', timeStyle: 'long' })
export const time = (at: number) => dateAndTime.format(at)
export const fullTime = (at: number) => fullDate.format(at)

/** A span of time in its largest unit: `12 s`, `4 min`, `3 h`, `2 d`. */
export function span(durationMs: number): string {
  const seconds = Math.max(0, Math.round(durationMs / 1000))
  if (seconds < 100) return `${seconds} s`
  if (seconds < 100 * 60) return `${Math.round(seconds / 60)} min`
  if (seconds < 48 * 3600) return `${Math.round(seconds / 3600)} h`
  return `${Math.round(seconds / 86400)} d`
}

/** What a limit was on. */
export const boundNames = {
  memory: 'memory',
  artifact: 'artifact',
  macs: 'MACs',
  params: 'parameters',
  latency: 'latency',
} as const satisfies Record<NonNullable<Variant['bound']>, string>

/** `1 device`, `2 devices`. */
export const plural = (n: number, noun: string) => `${grouped.format(n)} ${noun}${n === 1 ? '' : 's'}`
