/** A linear map from values to pixels, with round ticks. */
export interface Scale {
  readonly domain: readonly [number, number]
  readonly ticks: readonly number[]
  /** Decimals that tell neighbouring ticks apart. */
  readonly decimals: number
  (value: number): number
}

/** @param about how many ticks are wanted; the domain grows outwards to whole steps. */
export function linearScale(
  [low, high]: readonly [number, number],
  [from, to]: readonly [number, number],
  about: number,
): Scale {
  const step = roundStep((high - low || Math.abs(high) || 1) / about)
  const first = Math.floor(low / step + 1e-9)
  const last = Math.max(first + 1, Math.ceil(high / step - 1e-9))
  const ticks = Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step)
  const domain = [first * step, last * step] as const
  const map = (value: number) => from + ((value - domain[0]) / (domain[1] - domain[0])) * (to - from)
  return Object.assign(map, { domain, ticks, decimals: Math.max(0, -Math.floor(Math.log10(step) + 1e-9)) })
}

/** 1, 2 or 5 times a power of ten, not below `raw`. */
function roundStep(raw: number): number {
  const power = 10 ** Math.floor(Math.log10(raw))
  const times = [1, 2, 5, 10].find((t) => t * power >= raw * (1 - 1e-9)) ?? 10
  return times * power
}
