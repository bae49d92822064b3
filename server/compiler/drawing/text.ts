import { shortened } from '../graph/index.js'

/** Cells of a fixed-width font that a character takes: two for those that fonts draw wide. */
const cells = (c: string) =>
  (c.codePointAt(0) ?? 0) > 0x2e7f ? 2 : (c.codePointAt(0) ?? 0) > 0x24f ? 1.4 : 1

/** What may stand in XML, in markup or in an attribute; characters that XML has no way to write are replaced. */
export const escaped = (text: string): string =>
  text
    .replace(/[^\t\n\r\u{20}-\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]/gu, '\ufffd')
    .replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`)

/** A name that takes at most `most` cells of a fixed-width font. */
export function fitted(name: string, most: number): string {
  for (let length = most; length > 1; length--) {
    const text = shortened(name, length)
    if ([...text].reduce((sum, c) => sum + cells(c), 0) <= most) return text
  }
  return '…'
}

const prefixes = [
  [1e9, 'G'],
  [1e6, 'M'],
  [1e3, 'k'],
] as const

/** `12.5 M`, or `12.5 → 6.2 M` for what changed: three digits of the larger, both in its unit. */
export function figure(was: number, is: number, unit: string): string {
  const large = Math.max(was, is)
  const [factor, prefix] = prefixes.find(([f]) => large >= 0.9995 * f) ?? [1, '']
  const digits = factor === 1 ? 0 : Math.max(0, 2 - Math.floor(Math.log10(large / factor) + 1e-9))
  const show = (v: number) => (v / factor).toFixed(digits)
  const said = was === is ? show(was) : `${show(was)} → ${show(is)}`
  const suffix = unit === 'B' || prefix === '' ? `${prefix}${unit}` : `${prefix} ${unit}`
  return `${said} ${suffix}`.trimEnd()
}

export const whole = (v: number): string => Math.round(v).toLocaleString('en')
