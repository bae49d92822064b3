import { Graph, node, tensor } from '../graph/index.js'
import { openSession, run } from '../runtime/index.js'

/** aᵀ·b in float64 for row-major a [blocks, rows, m] and b [blocks, rows, n], block by block: [blocks, m, n]. */
export type Multiply = (
  a: Float64Array,
  b: Float64Array,
  dims: { readonly blocks?: number; readonly rows: number; readonly m: number; readonly n: number },
) => Promise<Float64Array>

/** Where a loop is done before a session has begun. */
const SMALL = 2 ** 14

/** onnxruntime multiplies matrices of doubles some twenty times as fast as a loop over typed arrays does. */
export async function openProducts(): Promise<{ multiply: Multiply; release(): Promise<void> }> {
  const session = await openSession(
    new Graph({
      name: 'products',
      nodes: [node('Transpose', ['a'], ['t'], { perm: [0, 2, 1] }), node('MatMul', ['t', 'b'], ['ab'])],
      initializers: new Map(),
      inputs: [
        { name: 'a', dtype: 'float64', dims: ['blocks', 'rows', 'm'] },
        { name: 'b', dtype: 'float64', dims: ['blocks', 'rows', 'n'] },
      ],
      outputs: [{ name: 'ab', dtype: 'float64', dims: ['blocks', 'm', 'n'] }],
      values: new Map(),
      opsets: new Map([['', 17]]),
      metadata: new Map(),
    }),
  )
  return {
    async multiply(a, b, { blocks = 1, rows, m, n }) {
      if (blocks === 1 && rows * m * n <= SMALL) return looped(a, b, { rows, m, n })
      const feeds = { a: tensor('float64', [blocks, rows, m], a), b: tensor('float64', [blocks, rows, n], b) }
      return (await run(session, feeds)).ab.data as Float64Array
    },
    release: () => session.release(),
  }
}

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
