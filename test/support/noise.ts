import { type Dataset, random } from '@espalier/server/compiler/data/index.js'

/** Unlabelled samples of uniform noise in [−1, 1). */
export function noise(
  dims: readonly number[],
  count: number,
  seed = 5,
): Dataset & { readonly values: Float32Array } {
  const next = random(seed)
  const size = dims.reduce((n, d) => n * d, 1)
  const values = Float32Array.from({ length: count * size }, () => next() * 2 - 1)
  return { spec: 'noise', count, dims, values }
}
