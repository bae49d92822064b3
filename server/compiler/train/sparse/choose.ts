/**
 * Masks of what stays so that a share of the elements goes, those of the lowest scores; of equal scores the first. A layer
 * keeps at least one element.
 * @param shares one for each layer, or one for all elements together
 */
export function keepLargest(
  scores: readonly Float32Array[],
  shares: number | readonly number[],
): Uint8Array[] {
  if (typeof shares !== 'number')
    return scores.map((s, k) => largest(s, Math.min(s.length - 1, goes(shares[k], s.length))))
  const all = new Float32Array(scores.reduce((n, s) => n + s.length, 0))
  let at = 0
  for (const s of scores) {
    all.set(s, at)
    at += s.length
  }
  const mask = largest(all, goes(shares, all.length))
  at = 0
  return scores.map((s) => {
    const own = mask.slice(at, at + s.length)
    at += s.length
    if (!own.includes(1)) own[s.indexOf(s.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY))] = 1
    return own
  })
}

const goes = (share: number, count: number) => Math.round(share * count)

/** All but the `count` lowest. */
function largest(scores: Float32Array, count: number): Uint8Array {
  const mask = new Uint8Array(scores.length).fill(1)
  if (count <= 0) return mask
  const threshold = nthLowest(scores.slice(), Math.min(count, scores.length) - 1)
  let equal = count - scores.reduce((n, s) => n + (s < threshold ? 1 : 0), 0)
  for (const [i, s] of scores.entries()) if (s < threshold || (s === threshold && equal-- > 0)) mask[i] = 0
  return mask
}

/** The element that sorting would put at `n`; reorders `values` (Hoare's selection). */
function nthLowest(values: Float32Array, n: number): number {
  let [from, to] = [0, values.length - 1]
  while (from < to) {
    const pivot = values[(from + to) >> 1]
    let [i, j] = [from, to]
    while (i <= j) {
      while (values[i] < pivot) i++
      while (values[j] > pivot) j--
      if (i > j) break
      const kept = values[i]
      values[i++] = values[j]
      values[j--] = kept
    }
    if (n <= j) to = j
    else if (n >= i) from = i
    else break
  }
  return values[n]
}

/** Of each `m` elements in a row along an axis the `n` of the highest scores stay; a rest of fewer than `m` stays whole. */
export interface Pattern {
  readonly n: number
  readonly m: number
}

/**
 * A mask of n:m fine-grained sparsity (Mishra et al. 2021, "Accelerating Sparse Deep Neural Networks").
 * @param dims shape of the scores
 * @param axis along which a layer reads its input
 */
export function keepPattern(
  scores: Float32Array,
  dims: readonly number[],
  axis: number,
  { n, m }: Pattern,
): Uint8Array {
  const mask = new Uint8Array(scores.length).fill(1)
  const inner = dims.slice(axis + 1).reduce((a, b) => a * b, 1)
  const size = dims[axis]
  const outer = scores.length / (size * inner)
  for (let o = 0; o < outer; o++)
    for (let i = 0; i < inner; i++)
      for (let from = 0; from + m <= size; from += m) {
        const at = Array.from({ length: m }, (_, k) => (o * size + from + k) * inner + i)
        at.sort((a, b) => scores[a] - scores[b] || a - b)
        for (const position of at.slice(0, m - n)) mask[position] = 0
      }
  return mask
}
