import type { ScheduleName } from '../names.js'

/** Learning rate of a step that counts from 0. */
export type Schedule = (step: number) => number

/**
 * @param peak the highest learning rate
 * @param warmup share of the steps over which it rises to the peak: linearly (Goyal et al. 2017), for one-cycle as a cosine
 * @param milestones for `step`: shares of the steps after each of which the rate falls to a tenth
 * Cosine is Loshchilov and Hutter 2017 without restarts; one-cycle is Smith and Topin 2018: from peak/25 up, then down
 * to peak/25e4.
 */
export function schedule(
  kind: ScheduleName,
  steps: number,
  peak: number,
  warmup: number,
  milestones: readonly number[] = [0.5, 0.75],
): Schedule {
  const rise = Math.round(steps * warmup)
  const wave = (from: number, to: number, t: number) => to + ((from - to) * (1 + Math.cos(Math.PI * t))) / 2
  const falls = milestones.map((share) => Math.round(share * steps))
  return (step) => {
    const fall = Math.min(1, (step - rise) / Math.max(1, steps - rise))
    if (kind === 'one-cycle')
      return step < rise ? wave(peak / 25, peak, step / rise) : wave(peak, peak / 25e4, fall)
    if (step < rise) return (peak * (step + 1)) / (rise + 1)
    if (kind === 'step') return peak * 0.1 ** falls.filter((at) => step >= at).length
    return kind === 'constant' ? peak : wave(peak, 0, fall)
  }
}
