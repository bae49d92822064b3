import type { Multiply } from './products.js'

/** Sums of products, in float64, over rows x (inputs, and last a one) and y (targets), block by block. */
export interface Gram {
  readonly blocks: number
  /** Elements of x. */
  readonly width: number
  readonly targets: number
  /** x·xᵀ: [blocks, width, width] */
  readonly xx: Float64Array
  /** x·yᵀ: [blocks, width, targets] */
  readonly xy: Float64Array
  /** y²: [blocks, targets] */
  readonly yy: Float64Array
  /** How many rows the sums are over. */
  count: number
}

export const emptyGram = (blocks: number, width: number, targets: number): Gram => ({
  blocks,
  width,
  targets,
  xx: new Float64Array(blocks * width * width),
  xy: new Float64Array(blocks * width * targets),
  yy: new Float64Array(blocks * targets),
  count: 0,
})

/** Adds rows x [blocks, count, width] and y [blocks, count, targets] to a gram. */
export async function addRows(
  gram: Gram,
  x: Float64Array,
  y: Float64Array,
  count: number,
  multiply: Multiply,
): Promise<void> {
  if (count === 0) return
  const { blocks, width, targets, yy } = gram
  const into = (sums: Float64Array, products: Float64Array) => {
    for (let i = 0; i < products.length; i++) sums[i] += products[i]
  }
  into(gram.xx, await multiply(x, x, { blocks, rows: count, m: width, n: width }))
  gram.count += count
  if (targets === 0) return
  into(gram.xy, await multiply(x, y, { blocks, rows: count, m: width, n: targets }))
  for (let block = 0, i = 0; block < blocks; block++)
    for (let r = 0; r < count; r++)
      for (let t = 0; t < targets; t++, i++) yy[block * targets + t] += y[i] ** 2
}

/**
 * Means of one block's products of inputs with inputs, [n, n], or with targets, [n, targets], row-major; centred: without
 * the products of means.
 */
export function momentsOf(
  gram: Gram,
  block: number,
  of: 'inputs' | 'targets',
  centred: boolean,
): Float64Array {
  const { width, count } = gram
  const n = width - 1
  const [step, columns, sums] = of === 'inputs' ? [width, n, gram.xx] : [gram.targets, gram.targets, gram.xy]
  const m = new Float64Array(n * columns)
  const first = block * width
  for (let i = 0; i < n; i++) {
    const mean = centred ? gram.xx[(first + i) * width + n] / count : 0
    for (let j = 0; j < columns; j++)
      m[i * columns + j] = (sums[(first + i) * step + j] - mean * sums[(first + n) * step + j]) / count
  }
  return m
}
