import { copyOf } from './weights.js'

/**
 * Exponential moving averages of arrays by name (Polyak and Juditsky 1992, "Acceleration of stochastic approximation by
 * averaging"); the first steps weigh more, so that where training began is soon forgotten.
 */
export class MovingAverage {
  readonly values: Map<string, Float32Array>

  constructor(
    start: ReadonlyMap<string, Float32Array>,
    readonly decay: number,
  ) {
    this.values = copyOf(start)
  }

  /** @param step counts from 0 */
  take(step: number, now: ReadonlyMap<string, Float32Array>): void {
    const rate = 1 - Math.min(this.decay, (1 + step) / (10 + step))
    for (const [name, average] of this.values) {
      const value = now.get(name)!
      for (let i = 0; i < average.length; i++) average[i] += rate * (value[i] - average[i])
    }
  }

  /** The averages, exactly zero wherever `now` is. */
  sparseAs(now: ReadonlyMap<string, Float32Array>): Map<string, Float32Array> {
    return new Map(
      [...this.values].map(([name, average]) => {
        const value = now.get(name)!
        return [name, average.map((v, i) => (value[i] === 0 ? 0 : v))]
      }),
    )
  }
}
