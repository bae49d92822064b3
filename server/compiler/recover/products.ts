import { Graph, type Node, node, tensor } from '../graph/index.js'
import { openSession, run } from '../runtime/index.js'

/** aᵀ·b in float64 for row-major a [blocks, rows, m] and b [blocks, rows, n], block by block: [blocks, m, n]. */
export type Multiply = (
  a: Float64Array,
  b: Float64Array,
  dims: { readonly blocks?: number; readonly rows: number; readonly m: number; readonly n: number },
) => Promise<Float64Array>

/** a·b in float64 for row-major a [blocks, rows, m] and b [blocks, m, n], block by block: [blocks, rows, n]. */
export type Apply = Multiply

export interface Products {
  readonly multiply: Multiply
  readonly apply: Apply
  release(): Promise<void>
}

/** Where a loop is done before a session has begun. */
const SMALL = 2 ** 14

/** onnxruntime multiplies matrices of doubles some twenty times as fast as a loop over typed arrays does. */
export async function openProducts(): Promise<Products> {
  const multiplying = await openSession(
    matrices(
      [node('Transpose', ['a'], ['t'], { perm: [0, 2, 1] }), node('MatMul', ['t', 'b'], ['ab'])],
      ['rows', 'm'],
      ['rows', 'n'],
    ),
  )
  const applying = await openSession(
    matrices([node('MatMul', ['a', 'b'], ['ab'])], ['rows', 'm'], ['m', 'n']),
  )
  const feed = (dims: readonly number[], data: Float64Array) => tensor('float64', dims, data)
  return {
    async multiply(a, b, { blocks = 1, rows, m, n }) {
      if (blocks === 1 && rows * m * n <= SMALL) return looped(a, b, { rows, m, n })
      const feeds = { a: feed([blocks, rows, m], a), b: feed([blocks, rows, n], b) }
      return (await run(multiplying, feeds)).ab.data as Float64Array
    },
    async apply(a, b, { blocks = 1, rows, m, n }) {
      const feeds = { a: feed([blocks, rows, m], a), b: feed([blocks, m, n], b) }
      return (await run(applying, feeds)).ab.data as Float64Array
    },
    async release() {
      await multiplying.release()
      await applying.release()
    },
  }
}

/** Nodes that make [blocks, …] `ab` of matrices [blocks, …] `a` and `b`. */
const matrices = (nodes: readonly Node[], a: readonly string[], b: readonly string[]): Graph =>
  new Graph({
    name: 'products',
    nodes,
    initializers: new Map(),
    inputs: [
      { name: 'a', dtype: 'float64', dims: ['blocks', ...a] },
      { name: 'b', dtype: 'float64', dims: ['blocks', ...b] },
    ],
    outputs: [{ name: 'ab', dtype: 'float64', dims: null }],
    values: new Map(),
    opsets: new Map([['', 17]]),
    metadata: new Map(),
  })

/** The same of one block, in a loop. */
export function looped(
  a: Float64Array,
  b: Float64Array,
  { rows, m, n }: { readonly rows: number; readonly m: number; readonly n: number },
): Float64Array {
  const products = new Float64Array(m * n)
  for (let r = 0; r < rows; r++)
    for (let i = 0; i < m; i++) {
      const factor = a[r * m + i]
      if (factor !== 0) for (let j = 0; j < n; j++) products[i * n + j] += factor * b[r * n + j]
    }
  return products
}
