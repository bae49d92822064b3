/** Divided by their mean; ones where all are zero. */
export function normalised(scores: Float64Array): Float64Array {
  const mean = scores.reduce((sum, v) => sum + v, 0) / scores.length
  return mean > 0 ? scores.map((v) => v / mean) : scores.fill(1)
}
