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

/** Equal ratios are equally far apart; ticks at 1, 2 and 5 times powers of ten. For values above zero. */
export function logScale([low, high]: Pair, range: Pair): Scale {
  const ticks: number[] = []
  for (let power = Math.floor(Math.log10(low)); 10 ** power <= high * 10; power++) {
    ticks.push(...[1, 2, 5].map((times) => Number(`${times}e${power}`)))
  }
  const first = ticks.findLastIndex((tick) => tick <= low)
  const last = ticks.findIndex((tick) => tick >= high)
  const inside = ticks.slice(first, last + 1)
  const map = between([Math.log(inside[0]), Math.log(inside[inside.length - 1])], range)
  return Object.assign((value: number) => map(Math.log(value)), { ticks: inside, text: String })
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
