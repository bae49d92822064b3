/** A map from values to pixels, with round ticks. */
export interface Scale {
  (value: number): number
  readonly ticks: readonly number[]
  /** A tick as text, with the decimals that tell it from its neighbours. */
  readonly text: (tick: number) => string
}

type Pair = readonly [number, number]

/** @param about how many ticks are wanted; the domain grows outwards to whole steps. */
export function linearScale([low, high]: Pair, range: Pair, about: number): Scale {
  const step = roundStep((high - low || Math.abs(high) || 1) / about)
  const first = Math.floor(low / step + 1e-9)
  const last = Math.max(first + 1, Math.ceil(high / step - 1e-9))
  const ticks = Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step)
  const decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9))
  const map = between([first * step, last * step], range)
  return Object.assign(map, { ticks, text: (tick: number) => tick.toFixed(decimals) })
}

/**
 * Equal ratios are equally far apart; ticks at 1, 2 and 5 times powers of ten, or at fewer where those have no room beside
 * each other. For values above zero.
 */
export function logScale([low, high]: Pair, range: Pair): Scale {
  const ticks: number[] = []
  for (let power = Math.floor(Math.log10(low)); 10 ** power <= high * 10; power++) {
    ticks.push(...[1, 2, 5].map((times) => Number(`${times}e${power}`)))
  }
  const first = ticks.findLastIndex((tick) => tick <= low)
  const last = ticks.findIndex((tick) => tick >= high)
  const inside = ticks.slice(first, last + 1)
  const map = between([Math.log(inside[0]), Math.log(inside[inside.length - 1])], range)
  const at = (value: number) => map(Math.log(value))
  return Object.assign(at, { ticks: roomy(inside, at), text: String })
}

const [digitPx, gapPx] = [8.5, 6]

/** Of ticks at 1, 2 and 5 times powers of ten as many as can be read beside each other: all, the powers, each second of them … */
function roomy(ticks: readonly number[], at: (tick: number) => number): readonly number[] {
  const halfPx = (tick: number) => (String(tick).length * digitPx + gapPx) / 2
  const fits = (some: readonly number[]) =>
    some.every((tick, i) => i === 0 || at(tick) - at(some[i - 1]) >= halfPx(tick) + halfPx(some[i - 1]))
  const powers = ticks.filter((tick) => tick.toExponential().startsWith('1e'))
  let shown = ticks
  for (let every = 1; !fits(shown) && powers.length > every; every++)
    shown = powers.filter((_, i) => i % every === 0)
  return shown
}

const between =
  ([low, high]: Pair, [from, to]: Pair) =>
  (value: number) =>
    from + ((value - low) / (high - low)) * (to - from)

/** 1, 2 or 5 times a power of ten, not below `raw`. */
function roundStep(raw: number): number {
  const power = 10 ** Math.floor(Math.log10(raw))
  const times = [1, 2, 5, 10].find((t) => t * power >= raw * (1 - 1e-9)) ?? 10
  return times * power
}
