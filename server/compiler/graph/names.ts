/** What moves a cursor, hides, or breaks a line. */
const unseen = /[\p{C}\p{Zl}\p{Zp}]/gu

/**
 * A name out of a file, fit for a line of text: what would not be seen is replaced, and what is longer than `most`
 * characters loses its middle.
 */
export function shortened(name: string, most: number): string {
  const visible = (part: string) => part.replace(unseen, '\ufffd')
  if (name.length <= most) return visible(name)
  const head = Math.ceil((most - 1) / 2)
  return `${visible(name.slice(0, head))}…${visible(name.slice(name.length - (most - 1 - head)))}`
}
