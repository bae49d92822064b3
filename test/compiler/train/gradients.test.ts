import { random, shuffled } from '@espalier/server/compiler/data/index.js'
import {
  elementCount,
  floats,
  Graph,
  int64s,
  type Node,
  node,
  type Tensor,
} from '@espalier/server/compiler/graph/index.js'
import { Builder } from '@espalier/server/compiler/ops/index.js'
import { openSession, run } from '@espalier/server/compiler/runtime/index.js'
import { differentiate } from '@espalier/server/compiler/train/differentiate.js'
import { lower } from '@espalier/server/compiler/train/lower.js'
import { sizesOf } from '@espalier/server/compiler/train/shapes.js'
import t from 'tap'

type Dims = readonly number[]

interface Case {
  readonly what: string
  /** The node or nodes under test; the last one makes `y`. */
  readonly nodes: readonly Node[]
  /** What is differentiated for. */
  readonly inputs: Readonly<Record<string, Dims>>
  readonly constants?: Readonly<Record<string, Tensor>>
  /** Positive inputs only (divisors, logarithms). */
  readonly positive?: boolean
  /** No two values near each other. */
  readonly distinct?: boolean
  /** Each input's rule is linear while the others stay: then the adjoint identity must hold to rounding. */
  readonly linear?: boolean
  /** Rewrites the graph as training does before it is differentiated. */
  readonly lowered?: boolean
}

const y = (op: string, inputs: readonly string[], attributes: Parameters<typeof node>[3] = {}) =>
  node(op, inputs, ['y'], attributes)

const conv = (
  what: string,
  x: Dims,
  w: Dims,
  attributes: Parameters<typeof node>[3] = {},
  lowered = false,
): Case => ({
  what: `Conv ${what}${lowered ? ' as a matrix product' : ''}`,
  nodes: [y('Conv', ['x', 'w', 'b'], attributes)],
  inputs: { x, w, b: [w[0]] },
  linear: true,
  lowered,
})

const unary = (op: string, attributes: Parameters<typeof node>[3] = {}, positive = false): Case => ({
  what: op,
  nodes: [y(op, ['x'], attributes)],
  inputs: { x: [3, 5, 7] },
  positive,
})

const binary = (op: string, a: Dims, b: Dims, positive = false): Case => ({
  what: `${op} of [${a}] and [${b}]`,
  nodes: [y(op, ['a', 'b'])],
  inputs: { a, b },
  positive,
  linear: op === 'Mul',
})

const cases: readonly Case[] = [
  conv('1×1', [3, 5, 4, 7], [6, 5, 1, 1]),
  conv('1×1 with many channels on a small map', [2, 20, 2, 2], [24, 20, 1, 1]),
  conv('1×1 on a single place', [3, 5, 1, 1], [6, 5, 1, 1]),
  conv('1×1 on a single place', [3, 5, 1, 1], [6, 5, 1, 1], {}, true),
  conv('1×1 of stride 2, which skips the last row', [2, 3, 6, 7], [4, 3, 1, 1], { strides: [2, 2] }),
  conv('3×3 padded', [2, 3, 5, 6], [4, 3, 3, 3], { pads: [1, 1, 1, 1] }),
  conv('3×2 with uneven pads', [2, 3, 5, 6], [4, 3, 3, 2], { pads: [0, 1, 2, 0] }),
  conv('3×3 of stride 2 on an even map', [2, 3, 6, 8], [4, 3, 3, 3], { pads: [1, 1, 1, 1], strides: [2, 2] }),
  conv('5×3 of stride 3×2 on an odd map', [1, 2, 11, 9], [3, 2, 5, 3], {
    pads: [2, 0, 1, 1],
    strides: [3, 2],
  }),
  conv('3×3 dilated', [2, 2, 7, 8], [3, 2, 3, 3], { pads: [2, 1, 2, 1], dilations: [2, 1] }),
  conv('SAME_UPPER of stride 2', [2, 3, 7, 6], [4, 3, 3, 3], { auto_pad: 'SAME_UPPER', strides: [2, 2] }),
  conv('in 2 groups', [2, 4, 5, 5], [6, 2, 3, 3], { group: 2, pads: [1, 1, 1, 1] }),
  conv('in 3 groups of stride 2', [2, 6, 6, 5], [3, 2, 3, 3], {
    group: 3,
    pads: [1, 0, 1, 0],
    strides: [2, 2],
  }),
  conv('padded by more than the kernel', [1, 2, 3, 3], [2, 2, 2, 2], { pads: [2, 2, 2, 2] }),
  conv('over one axis', [2, 3, 9], [4, 3, 3], { pads: [1, 1], strides: [2] }),
  ...[false, true].flatMap((lowered) => [
    conv('depthwise 3×3', [2, 5, 4, 6], [5, 1, 3, 3], { group: 5, pads: [1, 1, 1, 1] }, lowered),
    conv(
      'depthwise 3×3 of stride 2',
      [2, 4, 7, 6],
      [4, 1, 3, 3],
      { group: 4, pads: [1, 1, 1, 1], strides: [2, 2] },
      lowered,
    ),
    conv(
      'depthwise 5×5 of stride 2 with uneven pads',
      [3, 2, 8, 7],
      [2, 1, 5, 5],
      { group: 2, pads: [1, 2, 2, 1], strides: [2, 2] },
      lowered,
    ),
    conv(
      'depthwise dilated',
      [2, 3, 7, 7],
      [3, 1, 3, 3],
      { group: 3, pads: [2, 2, 2, 2], dilations: [2, 2] },
      lowered,
    ),
  ]),
  {
    what: 'Gemm',
    nodes: [y('Gemm', ['a', 'b', 'c'])],
    inputs: { a: [3, 4], b: [4, 5], c: [5] },
    linear: true,
  },
  {
    what: 'Gemm, both transposed and scaled',
    nodes: [
      y('Gemm', ['a', 'b', 'c'], { transA: 1, transB: 1, alpha: 0.5, beta: { type: 'float', value: 2 } }),
    ],
    inputs: { a: [4, 3], b: [5, 4], c: [3, 1] },
    linear: true,
  },
  ...(
    [
      [
        [3, 4],
        [4, 5],
      ],
      [
        [2, 3, 4],
        [4, 5],
      ],
      [
        [2, 3, 4],
        [2, 4, 5],
      ],
      [
        [2, 1, 3, 4],
        [6, 4, 5],
      ],
      [[4], [2, 4, 5]],
      [[2, 3, 4], [4]],
    ] as const
  ).map(([a, b]): Case => ({ ...binary('MatMul', a, b), linear: true })),
  binary('Add', [2, 3, 4], [3, 1]),
  binary('Sub', [4], [2, 3, 4]),
  binary('Mul', [2, 3, 4, 5], [2, 3, 1, 1]),
  binary('Mul', [2, 3], [2, 3]),
  binary('Div', [2, 3, 4], [3, 4], true),
  binary('Div', [1], [2, 3], true),
  binary('PRelu', [2, 3, 4, 4], [3, 1, 1]),
  { what: 'Sum of three', nodes: [y('Sum', ['a', 'b', 'c'])], inputs: { a: [2, 3], b: [3], c: [2, 1] } },
  {
    what: 'a value used twice',
    nodes: [node('Mul', ['x', 'x'], ['z']), y('Add', ['z', 'x'])],
    inputs: { x: [3, 4] },
  },
  ...[
    'Relu',
    'LeakyRelu',
    'HardSwish',
    'HardSigmoid',
    'Sigmoid',
    'Tanh',
    'Erf',
    'Exp',
    'Neg',
    'Identity',
  ].map((op) => unary(op)),
  unary('HardSigmoid', { alpha: 0.4, beta: 0.3 }),
  unary('Log', {}, true),
  unary('Sqrt', {}, true),
  {
    what: 'Clip',
    nodes: [y('Clip', ['x', 'lo', 'hi'])],
    inputs: { x: [3, 20] },
    constants: { lo: floats([], [0]), hi: floats([], [1]) },
  },
  {
    what: 'Pow by 2',
    nodes: [y('Pow', ['x', 'p'])],
    inputs: { x: [3, 4] },
    constants: { p: floats([], [2]) },
  },
  {
    what: 'BatchNormalization with fixed statistics',
    nodes: [y('BatchNormalization', ['x', 's', 'b', 'm', 'v'])],
    inputs: { x: [3, 4, 2, 5], s: [4], b: [4] },
    constants: { m: floats([4], [0.1, -1, 2, 0]), v: floats([4], [1, 0.5, 2, 3]) },
  },
  {
    what: 'BatchNormalization with statistics of the batch',
    nodes: [
      node('BatchNormalization', ['x', 's', 'b', 'm', 'v'], ['y', 'mean', 'variance'], {
        training_mode: 1,
        momentum: { type: 'float', value: 0 },
      }),
    ],
    inputs: { x: [3, 4, 2, 5], s: [4], b: [4] },
    constants: { m: floats([4], [0, 0, 0, 0]), v: floats([4], [1, 1, 1, 1]) },
  },
  { ...unary('GlobalAveragePool'), linear: true, inputs: { x: [2, 3, 4, 5] } },
  {
    what: 'a gate that is the mean of what it gates',
    nodes: [node('GlobalAveragePool', ['x'], ['z']), y('Mul', ['x', 'z'])],
    inputs: { x: [2, 3, 4, 5] },
  },
  {
    what: 'AveragePool, the border counted',
    nodes: [
      y('AveragePool', ['x'], {
        kernel_shape: [3, 3],
        strides: [2, 2],
        pads: [1, 1, 1, 1],
        count_include_pad: 1,
      }),
    ],
    inputs: { x: [2, 3, 6, 7] },
    linear: true,
  },
  {
    what: 'AveragePool, the border left out',
    nodes: [y('AveragePool', ['x'], { kernel_shape: [3, 2], strides: [2, 2], pads: [1, 0, 1, 1] })],
    inputs: { x: [2, 3, 6, 7] },
    linear: true,
  },
  {
    what: 'MaxPool',
    distinct: true,
    nodes: [y('MaxPool', ['x'], { kernel_shape: [2, 2], strides: [2, 2] })],
    inputs: { x: [2, 3, 6, 7] },
  },
  {
    what: 'MaxPool with windows that overlap',
    distinct: true,
    nodes: [y('MaxPool', ['x'], { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] })],
    inputs: { x: [2, 3, 6, 7] },
  },
  ...[0, 1].map(
    (keepdims): Case => ({
      what: `ReduceMean, keepdims ${keepdims}`,
      nodes: [y('ReduceMean', ['x', 'axes'], { keepdims })],
      inputs: { x: [2, 3, 4, 5] },
      constants: { axes: int64s([1, -1]) },
      linear: true,
    }),
  ),
  {
    what: 'ReduceSum of everything',
    nodes: [y('ReduceSum', ['x'], { keepdims: 0 })],
    inputs: { x: [2, 3, 4] },
    linear: true,
  },
  { what: 'Softmax over the last axis', nodes: [y('Softmax', ['x'])], inputs: { x: [2, 3, 4] } },
  { what: 'Softmax over the first axis', nodes: [y('Softmax', ['x'], { axis: 0 })], inputs: { x: [3, 4] } },
  { what: 'Flatten', nodes: [y('Flatten', ['x'])], inputs: { x: [2, 3, 4] }, linear: true },
  {
    what: 'Reshape',
    nodes: [y('Reshape', ['x', 'to'])],
    inputs: { x: [2, 3, 4] },
    constants: { to: int64s([4, -1]) },
    linear: true,
  },
  {
    what: 'Transpose',
    nodes: [y('Transpose', ['x'], { perm: [2, 0, 1] })],
    inputs: { x: [2, 3, 4] },
    linear: true,
  },
  { what: 'Transpose, reversed', nodes: [y('Transpose', ['x'])], inputs: { x: [2, 3, 4] }, linear: true },
  {
    what: 'Squeeze',
    nodes: [y('Squeeze', ['x', 'axes'])],
    inputs: { x: [2, 1, 4, 1] },
    constants: { axes: int64s([1, 3]) },
    linear: true,
  },
  {
    what: 'Unsqueeze',
    nodes: [y('Unsqueeze', ['x', 'axes'])],
    inputs: { x: [2, 4] },
    constants: { axes: int64s([1]) },
    linear: true,
  },
  {
    what: 'Concat, one input used twice',
    nodes: [y('Concat', ['a', 'b', 'a'], { axis: -2 })],
    inputs: { a: [2, 3, 4], b: [2, 2, 4] },
  },
  {
    what: 'Pad',
    nodes: [y('Pad', ['x', 'pads', 'value'])],
    inputs: { x: [2, 3, 4] },
    constants: { pads: int64s([0, 1, 2, 1, 0, 1]), value: floats([], [0]) },
    linear: true,
  },
  {
    what: 'Slice with steps and negative bounds',
    nodes: [y('Slice', ['x', 'starts', 'ends', 'axes', 'steps'])],
    inputs: { x: [2, 7, 8] },
    constants: {
      starts: int64s([-6, 1]),
      ends: int64s([1000, 8]),
      axes: int64s([1, 2]),
      steps: int64s([2, 3]),
    },
    linear: true,
  },
  {
    what: 'Split, one part unused',
    nodes: [node('Split', ['x', 'parts'], ['p', 'q', 'r'], { axis: 1 }), y('Mul', ['p', 'r'])],
    inputs: { x: [2, 7] },
    constants: { parts: int64s([2, 3, 2]) },
  },
  {
    what: 'Expand',
    nodes: [y('Expand', ['x', 'to'])],
    inputs: { x: [3, 1] },
    constants: { to: int64s([2, 3, 4]) },
    linear: true,
  },
]

/** Multiples of 1/4, moved a little: never within 0.06 of the kinks at 0, 1, 3 and 6, and far from each other's. */
function values(dims: Dims, next: () => number, positive = false): Float32Array {
  return Float32Array.from({ length: elementCount(dims) }, () => {
    const v = Math.round((next() - 0.5) * 32) / 4 + 0.125 + (next() - 0.5) * 0.1
    return positive ? Math.abs(v) + 0.5 : v
  })
}

const dot = (a: ArrayLike<number>, b: ArrayLike<number>) => {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i]
  return sum
}

async function check(t: Test, c: Case): Promise<void> {
  const next = random(7)
  const names = Object.keys(c.inputs)
  const plain = new Graph({
    name: 'case',
    nodes: c.nodes,
    initializers: new Map(Object.entries(c.constants ?? {})),
    inputs: names.map((name) => ({ name, dtype: 'float32', dims: c.inputs[name] })),
    // Everything: the runtime lets a normalisation's statistics overwrite its inputs unless they are outputs.
    outputs: c.nodes.flatMap((n) => n.outputs.map((name) => ({ name, dtype: 'float32', dims: null }))),
    values: new Map(),
    opsets: new Map([
      ['', 18],
      ['com.microsoft', 1],
    ]),
    metadata: new Map(),
  })
  const forward = c.lowered ? lower(plain, await sizesOf(plain)) : plain
  if (c.lowered)
    t.notOk(
      forward.nodes.some((n) => n.op === 'Conv'),
      'the convolution was rewritten',
    )
  const sizes = await sizesOf(forward)
  const dims = sizes.dims.get('y')!
  const g = new Builder('gradient/')
  const backward = differentiate(forward, sizes, new Map([['y', 'dy']]), names, g)
  const session = await openSession(
    forward.with({
      nodes: [...backward.forward, ...g.nodes],
      initializers: new Map([...forward.initializers, ...g.constants]),
      inputs: [...forward.inputs, { name: 'dy', dtype: 'float32', dims }],
      outputs: [
        ...forward.outputs,
        ...[...backward.of.values()].map((name) => ({ name, dtype: 'float32' as const, dims: null })),
      ],
    }),
  )
  const feeds: Record<string, Tensor> = { dy: floats(dims, values(dims, next)) }
  for (const name of names) {
    const size = elementCount(c.inputs[name])
    const drawn = c.distinct
      ? Float32Array.from(shuffled(size, 7), (v) => v / 8)
      : values(c.inputs[name], next, c.positive)
    feeds[name] = floats(c.inputs[name], drawn)
  }
  const at = (changed: Readonly<Record<string, Tensor>>) => run(session, { ...feeds, ...changed })
  const objective = async (changed: Readonly<Record<string, Tensor>>) =>
    dot((await at(changed)).y.data as Float32Array, feeds.dy.data as Float32Array)
  const results = await at({})
  for (const name of names) {
    const gradient = results[backward.of.get(name)!]
    t.same(gradient.dims, c.inputs[name], `the gradient of ${name} has its shape`)
    const d = gradient.data as Float32Array
    const x = feeds[name].data as Float32Array
    if (c.linear) {
      const zero = floats(c.inputs[name], new Float32Array(x.length))
      const left = (await objective({})) - (await objective({ [name]: zero }))
      const scale = Math.sqrt(dot(d, d) * dot(x, x)) + 1e-6
      t.ok(Math.abs(left - dot(d, x)) < 2e-5 * scale, `adjoint of ${name}: ${left} = ${dot(d, x)}`)
    }
    // Random signs, so that every element counts; small enough that no kink is crossed.
    const step = 0.02
    const direction = x.map(() => (next() < 0.5 ? -1 : 1))
    const moved = (by: number) =>
      floats(
        c.inputs[name],
        x.map((v, i) => v + by * direction[i]),
      )
    const rise = (await objective({ [name]: moved(step) })) - (await objective({ [name]: moved(-step) }))
    const expected = dot(d, direction)
    const tolerance = 2e-3 * (Math.sqrt(dot(d, d)) + 1)
    t.ok(
      Math.abs(rise / (2 * step) - expected) < tolerance,
      `slope along ${name}: ${rise / (2 * step)} = ${expected}`,
    )
  }
  await session.release()
}

type Test = Parameters<Parameters<typeof t.test>[0]>[0]

for (const c of cases) t.test(`gradient of ${c.what}`, (t) => check(t, c))

t.test('an operator without a gradient is named', async (t) => {
  const graph = new Graph({
    name: 'case',
    nodes: [node('MatMul', ['x', 'w'], ['h']), node('Gelu20', ['h'], ['y'], {}, { name: 'the odd one' })],
    initializers: new Map([['w', floats([2, 2], [1, 2, 3, 4])]]),
    inputs: [{ name: 'x', dtype: 'float32', dims: [1, 2] }],
    outputs: [{ name: 'y', dtype: 'float32', dims: null }],
    values: new Map(),
    opsets: new Map([['', 17]]),
    metadata: new Map(),
  })
  const sizes = { dims: new Map(), types: new Map(), integers: new Map() }
  t.throws(() => differentiate(graph, sizes, new Map([['y', 'dy']]), ['w'], new Builder('g/')), {
    code: 'GRADIENT_UNKNOWN',
    message: /'the odd one'.*Gelu20/,
  })
})
