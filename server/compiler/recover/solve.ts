import { looped, type Multiply } from './products.js'

/** λ as a share of the mean diagonal, where nothing else is said. */
const RIDGE = 1e-3
const ORDER = 3

/** X with A·X = B: [n, m] of [n, m]. */
export type Solve = (b: Float64Array) => Promise<Float64Array>

/**
 * Solves A·X = B for a symmetric A without negative eigenvalues by iterated Tikhonov regularisation (Engl, Hanke and
 * Neubauer 1996, "Regularization of Inverse Problems", section 5.1): X ← X + (A + λI)⁻¹(B − A·X), three times from
 * zero, λ a share of A's mean diagonal, a thousandth by default. Where the data vary little that is as careful as one
 * ridge; where they vary it leaves a billionth.
 * @param a [n, n], row-major
 * @returns undefined where A is all zeros or not finite
 */
export async function tikhonov(
  a: Float64Array,
  multiply: Multiply,
  share = RIDGE,
): Promise<Solve | undefined> {
  const n = Math.sqrt(a.length)
  const half = inverseFactor(a, share)
  if (!half) return undefined
  const ridge = await multiply(half, half, { rows: n, m: n, n })
  return async (b) => {
    const dims = { rows: n, m: n, n: b.length / n }
    // Both matrices are their own transposes.
    const x = await multiply(ridge, b, dims)
    for (let k = 1; k < ORDER; k++) {
      const product = await multiply(a, x, dims)
      const step = await multiply(
        ridge,
        product.map((p, i) => b[i] - p),
        dims,
      )
      for (let i = 0; i < x.length; i++) x[i] += step[i]
    }
    return x
  }
}

/** (A + λI)⁻¹, for A and λ as above: [n, n]. */
export function inverseRidge(a: Float64Array): Float64Array | undefined {
  const n = Math.sqrt(a.length)
  const half = inverseFactor(a, RIDGE)
  return half && looped(half, half, { rows: n, m: n, n })
}

/** M, lower triangular, with (A + λI)⁻¹ = Mᵀ·M: the inverse of L in Cholesky's decomposition A + λI = L·Lᵀ. */
function inverseFactor(a: Float64Array, share: number): Float64Array | undefined {
  const n = Math.sqrt(a.length)
  let trace = 0
  for (let i = 0; i < n; i++) trace += a[i * n + i]
  const lambda = (share * trace) / n
  if (!(lambda > 0) || !Number.isFinite(lambda)) return undefined
  const lower = cholesky(a, n, lambda)
  return lower && inverseOfLower(lower, n)
}

/** L of A + λI, row by row; undefined where that is not positive definite. */
function cholesky(a: Float64Array, n: number, lambda: number): Float64Array | undefined {
  const lower = new Float64Array(n * n)
  for (let i = 0; i < n; i++)
    for (let j = 0; j <= i; j++) {
      let sum = a[i * n + j] + (i === j ? lambda : 0)
      for (let k = 0; k < j; k++) sum -= lower[i * n + k] * lower[j * n + k]
      if (i !== j) lower[i * n + j] = sum / lower[j * n + j]
      else if (sum > 0) lower[i * n + i] = Math.sqrt(sum)
      else return undefined
    }
  return lower
}

function inverseOfLower(lower: Float64Array, n: number): Float64Array {
  const inverse = new Float64Array(n * n)
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < i; k++) {
      const factor = lower[i * n + k]
      for (let j = 0; j <= k; j++) inverse[i * n + j] -= factor * inverse[k * n + j]
    }
    const pivot = lower[i * n + i]
    for (let j = 0; j < i; j++) inverse[i * n + j] /= pivot
    inverse[i * n + i] = 1 / pivot
  }
  return inverse
}
