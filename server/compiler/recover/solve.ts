import { CholeskyDecomposition, Matrix } from 'ml-matrix'

/** λ as a share of the mean diagonal, where nothing else is said. */
const RIDGE = 1e-3
const ORDER = 3

/**
 * Solves A·X = B for a symmetric A without negative eigenvalues by iterated Tikhonov regularisation (Engl, Hanke and
 * Neubauer 1996, "Regularization of Inverse Problems", section 5.1): X ← X + (A + λI)⁻¹(B − A·X), three times from
 * zero, λ a share of A's mean diagonal, a thousandth by default. Where the data vary little that is as careful as one
 * ridge; where they vary it leaves a billionth.
 * @param a [n, n]
 * @param b [n, m]
 * @returns [n, m], or undefined where A is all zeros or not finite
 */
export function solveTikhonov(a: Matrix, b: Matrix, share = RIDGE): Matrix | undefined {
  const ridge = ridgeOf(a, share)
  if (!ridge) return undefined
  const x = ridge.solve(b)
  for (let k = 1; k < ORDER; k++) x.add(ridge.solve(Matrix.sub(b, a.mmul(x))))
  return x
}

/** (A + λI)⁻¹, for A and λ as above. */
export const inverseRidge = (a: Matrix): Matrix | undefined => ridgeOf(a, RIDGE)?.solve(Matrix.eye(a.rows))

function ridgeOf(a: Matrix, share: number): CholeskyDecomposition | undefined {
  const n = a.rows
  const lambda = (share * a.trace()) / n
  if (!(lambda > 0) || !Number.isFinite(lambda)) return undefined
  const sum = a.clone()
  for (let i = 0; i < n; i++) sum.set(i, i, sum.get(i, i) + lambda)
  const cholesky = new CholeskyDecomposition(sum)
  return cholesky.isPositiveDefinite() ? cholesky : undefined
}
