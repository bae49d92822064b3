import type { Group } from '../analysis/index.js'

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b))

/**
 * How many units of a group may be kept, most first, down to one: all of them, then those for which the dimensions they
 * index are multiples of `round`, and below that halves. onnxruntime computes in blocks of channels: counts between
 * two multiples save arithmetic on paper and no time.
 */
export function ladder({ units }: Group, round: number): number[] {
  const n = units.length
  const indices = units[0]?.slices[0]?.indices.length ?? 1
  const step = Math.max(1, Math.round(round / gcd(round, indices)))
  const rungs = [n]
  for (let kept = Math.ceil(n / step) * step - step; kept > 0; kept -= step) rungs.push(kept)
  for (let kept = Math.floor(rungs[rungs.length - 1] / 2); kept > 0; kept = Math.floor(kept / 2))
    rungs.push(kept)
  return rungs
}
