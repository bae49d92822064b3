import { Matrix } from 'ml-matrix'
import { Graph, node, tensor } from '../graph/index.js'
import { openSession, run } from '../runtime/index.js'

/** Sums of the outer products of rows, in float64: [blocks, size, size], and how many rows they are over. */
export interface Gram {
  readonly blocks: number
  readonly size: number
  readonly sums: Float64Array
  count: number
}

export const emptyGram = (blocks: number, size: number): Gram => ({
  blocks,
  size,
  sums: new Float64Array(blocks * size * size),
  count: 0,
})

/** Adds rows [blocks, count, size] to a gram. */
export type Adder = (gram: Gram, rows: Float64Array, count: number) => Promise<void>

/** onnxruntime multiplies matrices of doubles some twenty times as fast as a loop over typed arrays does. */
export async function openAdder(): Promise<{ add: Adder; release(): Promise<void> }> {
  const [x, y] = [['b', 'r', 's'] as const, ['b', 's', 's'] as const]
  const session = await openSession(
    new Graph({
      name: 'gram',
      nodes: [node('Transpose', ['x'], ['t'], { perm: [0, 2, 1] }), node('MatMul', ['t', 'x'], ['y'])],
      initializers: new Map(),
      inputs: [{ name: 'x', dtype: 'float64', dims: x }],
      outputs: [{ name: 'y', dtype: 'float64', dims: y }],
      values: new Map(),
      opsets: new Map([['', 17]]),
      metadata: new Map(),
    }),
  )
  return {
    async add(gram, rows, count) {
      if (count === 0) return
      const { y } = await run(session, { x: tensor('float64', [gram.blocks, count, gram.size], rows) })
      const products = y.data as Float64Array
      for (let i = 0; i < products.length; i++) gram.sums[i] += products[i]
      gram.count += count
    },
    release: () => session.release(),
  }
}

/** The sums of one block per row; centred: without the products of means. */
export function blockOf({ sums, size, count }: Gram, block: number, centred: boolean): Matrix {
  const at = (i: number, j: number) => sums[(block * size + i) * size + j] / count
  const last = size - 1
  const m = new Matrix(size, size)
  for (let i = 0; i < size; i++)
    for (let j = 0; j < size; j++) m.set(i, j, at(i, j) - (centred ? at(i, last) * at(j, last) : 0))
  return m
}
