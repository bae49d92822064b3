import type { Weights } from './affine.js'
import { type Gram, momentsOf } from './gram.js'
import { type Mixer, unknownsOf } from './mixer.js'
import type { Multiply } from './products.js'
import { type Solve, tikhonov } from './solve.js'

/** W + Δ with (XᵀX + λI)·Δ = Xᵀ(Y − X·W), block by block. */
export async function leastSquares(
  now: Mixer,
  from: Weights,
  gram: Gram,
  centred: boolean,
  multiply: Multiply,
  ridge: number,
): Promise<Float64Array> {
  const columns = unknownsOf(now)
  const each = now.outputs / now.blocks
  const rows = from.rows.slice()
  for (let b = 0; b < now.blocks; b++) {
    const xx = momentsOf(gram, b, 'inputs', centred)
    const xy = momentsOf(gram, b, 'targets', centred)
    const first = b * each * columns
    const was = transposed(from.rows.subarray(first, first + each * columns), each, columns)
    const seen = await multiply(xx, was, { rows: columns, m: columns, n: each })
    const mean = (k: number, o: number) => (centred ? 0 : meanOf(gram, b, k) * from.bias[b * each + o])
    const residual = xy.map((y, i) => y - seen[i] - mean(Math.floor(i / each), i % each))
    const solve = await tikhonov(xx, multiply, ridge)
    if (solve) addStep(rows, await solve(residual), b, columns, each)
  }
  return rows
}

/** For each block what solves by the moments of its inputs. */
export async function solvesOf(now: Mixer, gram: Gram, centred: boolean, multiply: Multiply, ridge: number) {
  const solves: (Solve | undefined)[] = []
  for (let b = 0; b < now.blocks; b++)
    solves.push(await tikhonov(momentsOf(gram, b, 'inputs', centred), multiply, ridge))
  return solves
}

/** W + Δ and its bias with (XᵀX + λI)·Δ = XᵀR, the products in `missed`. */
export async function stepped(
  now: Mixer,
  from: Weights,
  missed: Gram,
  centred: boolean,
  solves: readonly (Solve | undefined)[],
): Promise<Weights> {
  const columns = unknownsOf(now)
  const each = now.outputs / now.blocks
  const rows = from.rows.slice()
  for (const [b, solve] of solves.entries())
    if (solve) addStep(rows, await solve(momentsOf(missed, b, 'targets', centred)), b, columns, each)
  if (!centred) return { rows, bias: from.bias }
  const moved = rows.map((w, i) => w - from.rows[i])
  const more = meanBias(now, moved, missed)
  return { rows, bias: from.bias.map((v, o) => v + more[o]) }
}

/** Adds a step [columns, each] to one block's rows. */
function addStep(rows: Float64Array, step: Float64Array, block: number, columns: number, each: number): void {
  const first = block * each * columns
  for (let o = 0; o < each; o++)
    for (let k = 0; k < columns; k++) rows[first + o * columns + k] += step[k * each + o]
}

/** [n, m] of [m, n]. */
const transposed = (values: Float64Array, m: number, n: number): Float64Array =>
  Float64Array.from({ length: values.length }, (_, i) => values[(i % m) * n + Math.floor(i / m)])

export const meanOf = ({ xx, width, count }: Gram, block: number, k: number) =>
  xx[((block + 1) * width - 1) * width + k] / count

/** The bias with which the outputs' means are what they should be. */
export function meanBias(now: Mixer, rows: Float64Array, gram: Gram): Float64Array {
  const { targets, width, xy, count } = gram
  const columns = unknownsOf(now)
  return Float64Array.from({ length: now.outputs }, (_, o) => {
    const block = Math.floor(o / targets)
    let mean = xy[((block + 1) * width - 1) * targets + (o % targets)] / count
    for (let k = 0; k < columns; k++) mean -= rows[o * columns + k] * meanOf(gram, block, k)
    return mean
  })
}
