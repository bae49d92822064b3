import type { OperatorTime } from '@espalier/shared/measure/index.js'

type Subject = Pick<OperatorTime, 'op' | 'dims'>

const count = (dims: readonly number[] = []): number => dims.reduce((n, d) => n * d, 1)

/** What an operator's time follows from, in numbers that can be compared whatever its rank and optional inputs. */
export interface Extent {
  /** Multiply–accumulates of what contracts, else the numbers that are read and written. */
  readonly work: number
  /** What is summed over, what is made, and what a kernel covers: how fast the work goes hangs on them. */
  readonly shape: readonly number[]
  /** How often that is done: positions of a map, rows of a matrix. */
  readonly times: number
}

export function extentOf({ op, dims }: Subject): Extent {
  const [x = [], w = []] = dims
  const y = dims[dims.length - 1] ?? []
  if (op === 'Conv' || op === 'ConvTranspose') {
    const [first = 1, second = 1, ...kernel] = w
    const [into, out] = op === 'Conv' ? [second, first] : [first, second]
    const times = Math.max(1, count((op === 'Conv' ? y : x).slice(2)))
    const groups = op === 'Conv' ? (x[1] ?? into) / into : 1
    return { work: into * out * count(kernel) * times, shape: [into, out, count(kernel), groups], times }
  }
  if (op === 'Gemm' || op === 'MatMul') {
    const [into, out] = [x.at(-1) ?? 1, y.at(-1) ?? 1]
    const times = Math.max(1, count(y) / out)
    return { work: into * out * times, shape: [into, out], times }
  }
  const channels = y.length > 2 ? y[1] : (y.at(-1) ?? 1)
  return {
    work: dims.reduce((n, d) => n + count(d), 0),
    shape: [channels],
    times: Math.max(1, count(y) / channels),
  }
}

/** How unlike two extents are: logarithms of ratios, squared; how often work is repeated matters less. */
export function distance(a: Extent, b: Extent): number {
  const apart = (v: number, w: number) => Math.log(Math.max(1, v) / Math.max(1, w)) ** 2
  return a.shape.reduce((d, v, i) => d + apart(v, b.shape[i] ?? 1), 0) + apart(a.times, b.times) / 4
}
