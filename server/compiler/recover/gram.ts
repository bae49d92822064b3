import { Matrix } from 'ml-matrix'
import { Graph, node, tensor } from '../graph/index.js'
import { openSession, run } from '../runtime/index.js'

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
export type Adder = (gram: Gram, x: Float64Array, y: Float64Array, count: number) => Promise<void>

/** onnxruntime multiplies matrices of doubles some twenty times as fast as a loop over typed arrays does. */
export async function openAdder(): Promise<{ add: Adder; release(): Promise<void> }> {
  const session = await openSession(
    new Graph({
      name: 'gram',
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
  const into = (sums: Float64Array, products: Float64Array) => {
    for (let i = 0; i < products.length; i++) sums[i] += products[i]
  }
  return {
    async add(gram, x, y, count) {
      if (count === 0) return
      const { blocks, width, targets, yy } = gram
      const a = tensor('float64', [blocks, count, width], x)
      into(gram.xx, (await run(session, { a, b: a })).ab.data as Float64Array)
      gram.count += count
      if (targets === 0) return
      const b = tensor('float64', [blocks, count, targets], y)
      into(gram.xy, (await run(session, { a, b })).ab.data as Float64Array)
      for (let block = 0, i = 0; block < blocks; block++)
        for (let r = 0; r < count; r++)
          for (let t = 0; t < targets; t++, i++) yy[block * targets + t] += y[i] ** 2
    },
    release: () => session.release(),
  }
}

/** Means of one block's products of inputs with inputs, or with targets; centred: without the products of means. */
export function momentsOf(gram: Gram, block: number, of: 'inputs' | 'targets', centred: boolean): Matrix {
  const { width, count } = gram
  const columns = of === 'inputs' ? width : gram.targets
  const sums = of === 'inputs' ? gram.xx : gram.xy
  const at = (i: number, j: number) => sums[(block * width + i) * columns + j] / count
  const mean = (i: number) => gram.xx[(block * width + i) * width + width - 1] / count
  const m = new Matrix(width - 1, of === 'inputs' ? width - 1 : columns)
  for (let i = 0; i < m.rows; i++)
    for (let j = 0; j < m.columns; j++) m.set(i, j, at(i, j) - (centred ? mean(i) * at(width - 1, j) : 0))
  return m
}
