/** Learning rate of a step that counts from 0. */
export type Schedule = (step: number) => number

/**
 * @param peak the highest learning rate
 * @param warmup share of the steps over which it rises linearly (cosine, constant) or as a cosine (one-cycle) to the peak
 * One-cycle is Smith and Topin 2018: from peak/25 up, then down to peak/25e4.
 */
export function schedule(
  kind: 'constant' | 'cosine' | 'one-cycle',
  steps: number,
  peak: number,
  warmup: number,
): Schedule {
  const rise = Math.round(steps * warmup)
  const wave = (from: number, to: number, t: number) => to + ((from - to) * (1 + Math.cos(Math.PI * t))) / 2
  return (step) => {
    const fall = Math.min(1, (step - rise) / Math.max(1, steps - rise))
    if (kind === 'one-cycle')
      return step < rise ? wave(peak / 25, peak, step / rise) : wave(peak, peak / 25e4, fall)
    if (step < rise) return (peak * (step + 1)) / (rise + 1)
    return kind === 'constant' ? peak : wave(peak, 0, fall)
  }
}
