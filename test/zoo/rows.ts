import { numbersOf, type Tensor } from '@espalier/server/compiler/graph/index.js'

/** Columns of several outputs with one row for each thing found, as numbers over what they may differ by. */
interface Rows {
  readonly count: number
  readonly columns: readonly { readonly values: readonly number[]; readonly width: number }[]
}

/**
 * Largest difference, over what `allowed` gives for an output's scale, between lists of what two networks found: boxes,
 * labels and scores, row by row. Each row is held against the nearest that is left in the other list: where two scores
 * are alike to the last digit, either may come first. Infinite where the lists are not of one length.
 */
export function rowsGap(
  outputs: readonly (readonly [Tensor, Tensor])[],
  allowed: (scale: number) => number,
): number {
  const limits = outputs.map(([x]) => allowed(numbersOf(x).reduce((m, v) => Math.max(m, Math.abs(v)), 0)))
  const [p, q] = [0, 1].map((side) => rowsOf(outputs.map((pair, i) => [pair[side], limits[i]])))
  if (p.count !== q.count) return Number.POSITIVE_INFINITY
  const left = new Set(Array(q.count).keys())
  let gap = 0
  for (let i = 0; i < p.count; i++) {
    let [best, at] = [Number.POSITIVE_INFINITY, -1]
    for (const k of left) {
      const d = distance(p, i, q, k, best)
      if (d < best) [best, at] = [d, k]
    }
    left.delete(at)
    gap = Math.max(gap, best)
  }
  return gap
}

const rowsOf = (outputs: readonly (readonly [Tensor, number])[]): Rows => ({
  count: outputs[0][0].dims[0],
  columns: outputs.map(([t, limit]) => ({
    values: numbersOf(t).map((v) => v / limit),
    width: t.data.length / t.dims[0],
  })),
})

/** Largest difference of two rows; no more than that it reaches `enough` once it does. */
function distance(p: Rows, i: number, q: Rows, k: number, enough: number): number {
  let worst = 0
  for (const [c, { values, width }] of p.columns.entries()) {
    const others = q.columns[c].values
    for (let j = 0; j < width && worst < enough; j++)
      worst = Math.max(worst, Math.abs(values[i * width + j] - others[k * width + j]))
  }
  return worst
}
