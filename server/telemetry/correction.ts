import type { Correction } from '../compiler/limits.js'

/** One variant: bytes measured, or else predicted, where it was compiled, and bytes that boards reported. */
export interface Pair {
  readonly here: number
  readonly there: number
}

export const identity: Correction = { scale: 1, offsetBytes: 0 }

/** Measuring one file again spreads by about this share of it. */
const NOISE = 0.05
/** Below so many bytes errors count as there. */
const SMALL = 2e6
/** What is believed before anything is reported: boards differ by about so much. */
const PRIOR = { scale: 0.2, offsetBytes: 1e6 } as const

/**
 * The most probable correction given the pairs: weighted least squares, errors relative, with a normal prior at the
 * identity (Hoerl & Kennard 1970, "Ridge Regression"). One pair moves it a little, many decide it; from variants that are
 * all of one size the offset and the scale share what cannot be told apart.
 */
export function correctionFrom(pairs: readonly Pair[]): Correction {
  const priorScale = 1 / PRIOR.scale ** 2
  let [a, b, c] = [priorScale, 0, 1 / PRIOR.offsetBytes ** 2]
  let [p, q] = [priorScale, 0]
  for (const { here, there } of pairs) {
    const weight = 1 / (NOISE * Math.max(there, SMALL)) ** 2
    a += weight * here * here
    b += weight * here
    c += weight
    p += weight * here * there
    q += weight * there
  }
  const determinant = a * c - b * b
  return { scale: (p * c - q * b) / determinant, offsetBytes: (q * a - p * b) / determinant }
}

/** What a board is expected to measure of what takes so many bytes here. */
export const onBoard = ({ scale, offsetBytes }: Correction, here: number): number =>
  Math.max(0, scale * here + offsetBytes)
