import type { Layer } from './small-models.js'

/** One operator at one size, as a table names it. */
export interface Subject extends Layer {
  readonly kind: string
  readonly input: readonly number[]
  readonly output: readonly number[]
}

const CHANNELS = [4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512]
const MAPS = [7, 14, 28, 56]
/** Numbers that an operator without weights reads. */
const COUNTS = [1024, 16_384, 131_072]
const FEATURES = [16, 64, 256, 1024]
/** Larger ones are left out: their rate is that of the largest. */
const MOST_MACS = 4e7
/** Both sides of a convolution differ by so much at most. */
const MOST_APART = 4

const grid = <A, B>(first: readonly A[], second: readonly B[]): [A, B][] =>
  first.flatMap((a) => second.map((b): [A, B] => [a, b]))

/** The operators of edge networks over the sizes they come in. */
export function machineOperators(): readonly Subject[] {
  const convolution = (
    into: number,
    out: number,
    k: number,
    map: number,
    stride = 1,
    group = 1,
  ): Subject => ({
    op: 'Conv',
    ints: { kernel_shape: [k, k], pads: Array(4).fill(k >> 1), strides: [stride, stride], group },
    constants: [[out, into / group, k, k], [out]],
    kind: [...(stride > 1 ? [`strides=${stride},${stride}`] : []), ...(group > 1 ? ['grouped'] : [])].join(
      ' ',
    ),
    input: [1, into, map * stride, map * stride],
    output: [1, out, map, map],
  })
  const pairs = [...grid(CHANNELS, CHANNELS).filter(([a, b]) => a <= b * MOST_APART && b <= a * MOST_APART)]
  const dense = grid(pairs, MAPS).flatMap(([[into, out], map]) => [
    convolution(into, out, 1, map),
    ...(into <= 256 && out <= 256 ? [convolution(into, out, 3, map)] : []),
    ...(out >= into && out <= 2 * into && map < 56 ? [convolution(into, out, 3, map, 2)] : []),
  ])
  const first = grid([8, 16, 24, 32, 64], MAPS).flatMap(([out, map]) =>
    [1, 3].flatMap((into) => [convolution(into, out, 3, map), convolution(into, out, 3, map, 2)]),
  )
  const depthwise = grid(CHANNELS, MAPS).flatMap(([c, map]) =>
    [3, 5].flatMap((k) => [convolution(c, c, k, map, 1, c), convolution(c, c, k, map, 2, c)]),
  )
  const pointwise = grid(
    ['Relu', 'Sigmoid', 'HardSigmoid', 'HardSwish', 'Tanh', 'Erf', 'Add', 'Mul'],
    COUNTS,
  ).map(
    ([op, n]): Subject => ({
      op,
      kind: '',
      twice: op === 'Add' || op === 'Mul',
      input: [1, 16, n / 16],
      output: [1, 16, n / 16],
    }),
  )
  const pools = grid(CHANNELS, MAPS).flatMap(([c, map]): Subject[] => [
    { op: 'GlobalAveragePool', kind: '', input: [1, c, map, map], output: [1, c, 1, 1] },
    {
      op: 'MaxPool',
      kind: 'kernel_shape=2,2 strides=2,2',
      ints: { kernel_shape: [2, 2], strides: [2, 2] },
      input: [1, c, 2 * map, 2 * map],
      output: [1, c, map, map],
    },
  ])
  const products = grid(FEATURES, FEATURES).flatMap(([into, out]): Subject[] => [
    {
      op: 'Gemm',
      kind: 'transB=1',
      ints: { transB: 1 },
      constants: [[out, into], [out]],
      input: [1, into],
      output: [1, out],
    },
    ...[1, 64, 196].map(
      (rows): Subject => ({
        op: 'MatMul',
        kind: '',
        constants: [[into, out]],
        input: [1, rows, into],
        output: [1, rows, out],
      }),
    ),
  ])
  const weighed = [...dense, ...first, ...depthwise].filter(
    ({ constants = [], output }) => product(constants[0]) * product(output.slice(2)) <= MOST_MACS,
  )
  return [...weighed, ...pointwise, ...pools, ...products]
}

const product = (dims: readonly number[]): number => dims.reduce((n, d) => n * d, 1)
