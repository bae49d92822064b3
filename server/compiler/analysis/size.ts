/** A size that is the same product in every run: of a number, and of dynamic dimensions of the network's inputs, by name. */
export interface Size {
  readonly factor: number
  /** Sorted, repeated where a dimension counts twice. */
  readonly symbols: readonly string[]
}

/** Undefined where nothing is known. */
export type Known = Size | undefined

export const fixed = (factor: number): Size => ({ factor, symbols: [] })
export const symbol = (name: string): Size => ({ factor: 1, symbols: [name] })

/** The number that a size is in every run. */
export const numberOf = (s: Known): number | undefined => (s && s.symbols.length === 0 ? s.factor : undefined)

export const times = (a: Known, b: Known): Known =>
  a && b && { factor: a.factor * b.factor, symbols: [...a.symbols, ...b.symbols].sort() }

/** a / b where that comes out even whatever the dimensions are. */
export function over(a: Known, b: Known): Known {
  if (!a || !b || b.factor === 0 || a.factor % b.factor !== 0) return undefined
  const symbols = [...a.symbols]
  for (const s of b.symbols) {
    const at = symbols.indexOf(s)
    if (at < 0) return undefined
    symbols.splice(at, 1)
  }
  return { factor: a.factor / b.factor, symbols }
}

export const product = (sizes: readonly Known[]): Known => sizes.reduce(times, fixed(1))

/** What numpy's broadcasting makes of sizes: those above one agree. */
export function broadcast(sizes: readonly Known[]): Known {
  const wide = sizes.find((s) => s && (numberOf(s) ?? 0) > 1)
  if (wide) return wide
  const others = sizes.filter((s) => numberOf(s) !== 1)
  if (others.length === 0) return fixed(1)
  const [first] = others
  return first && others.every((s) => s && `${s.symbols} ${s.factor}` === `${first.symbols} ${first.factor}`)
    ? first
    : undefined
}
