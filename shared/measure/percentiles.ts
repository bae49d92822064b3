/**
 * How many queries a percentile needs before it is reported: from these counts on, the second slowest query lies above
 * the true percentile with 99 % confidence. MLPerf Inference uses the same counts for early stopping (Reddi et al.,
 * "MLPerf Inference Benchmark", ISCA 2020; mlcommons/inference_policies, appendix "Early Stopping Criterion").
 */
export const queriesNeeded = { p50: 1, p90: 64, p95: 130, p99: 662 } as const

export interface Percentiles {
  readonly p50Ms: number
  readonly p90Ms: number | null
  readonly p95Ms: number | null
  readonly p99Ms: number | null
}

/** The smallest value that at least the share `q` of `sorted` (ascending, not empty) does not exceed: nearest rank. */
export const percentile = (sorted: ArrayLike<number>, q: number): number =>
  sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)]

/** Percentiles of latencies in ms, at least one; those that need more queries than there are stay null. */
export function percentiles(latenciesMs: ArrayLike<number>): Percentiles {
  const sorted = Float64Array.from(latenciesMs).sort()
  const enough = (key: keyof typeof queriesNeeded, q: number) =>
    sorted.length >= queriesNeeded[key] ? percentile(sorted, q) : null
  return {
    p50Ms: percentile(sorted, 0.5),
    p90Ms: enough('p90', 0.9),
    p95Ms: enough('p95', 0.95),
    p99Ms: enough('p99', 0.99),
  }
}

/** The middle of the values (at least one); of an even number of them, the mean of the two in the middle. */
export function median(values: ArrayLike<number>): number {
  const sorted = Float64Array.from(values).sort()
  const half = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2
}
