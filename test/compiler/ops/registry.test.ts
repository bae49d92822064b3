import { floats, type Graph } from '@espalier/server/compiler/graph/index.js'
import { operators } from '@espalier/server/compiler/ops/index.js'
import { criteria, keepShare } from '@espalier/server/compiler/saliency/index.js'
import { prunable, pruned, verifyShapes, zeroUnits } from '@espalier/server/compiler/surgery/index.js'
import t from 'tap'
import { gapBetween } from '../../support/compare.js'
import { Net } from '../../zoo/index.js'

const CHANNELS = 6
const SIZE = 4

interface Example {
  readonly graph: Graph
  /** Whether the channels that go into the operator can be pruned. */
  readonly open: boolean
}

/** A convolution's channels, bent so that they are not negative, through the operator, into another convolution. */
function through(
  rule: (n: Net, h: string) => string,
  { opset = 17, channels = CHANNELS, open = true } = {},
): Example {
  const n = new Net('through', opset)
  const h = n.op('Relu', [n.conv(n.input('x', ['n', 3, SIZE, SIZE]), 3, CHANNELS)])
  return { graph: n.build(n.head(n.conv(rule(n, h), channels, 4, { k: 1 }), 4)), open }
}

const map = (op: string, opset = 17, attributes = {}) =>
  through((n, h) => n.op(op, [h], attributes), { opset })
const withOther = (op: string) =>
  through((n, h) => n.op(op, [h, n.weight([1, CHANNELS, 1, 1], { around: 2 })]))
const compared = (op: string) =>
  through((n, h) => n.op('Mul', [h, n.op('Cast', [n.op(op, [h, n.weight([CHANNELS, 1, 1])])], { to: 1 })]))
const logic = (op: string) =>
  through((n, h) => {
    const yes = (x: string) => n.op('Greater', [x, n.scalar(0.3)])
    return n.op('Cast', [n.op(op, [yes(h), yes(n.op('Sin', [h]))])], { to: 1 })
  })
const reduced = (op: string, axes: readonly number[], open: boolean, opset = 17) =>
  through(
    (n, h) => {
      const y =
        op === 'ReduceSum' ? n.op(op, [h, n.ints(axes)]) : n.op(op, [n.op('Add', [h, n.scalar(1)])], { axes })
      return axes[0] === 1 ? n.op('Mul', [h, y]) : y
    },
    { open, opset },
  )

const examples: Readonly<Record<string, readonly Example[]>> = {
  ...Object.fromEntries(
    [
      ...[
        'Abs',
        'Celu',
        'Ceil',
        'Elu',
        'Erf',
        'Floor',
        'HardSwish',
        'LeakyRelu',
        'Neg',
        'Relu',
        'Round',
        'Selu',
      ],
      ...['Shrink', 'Sign', 'Sin', 'Softsign', 'Sqrt', 'Tan', 'Tanh', 'ThresholdedRelu'],
      ...['Cos', 'Exp', 'Sigmoid', 'Softplus', 'HardSigmoid', 'Identity'],
    ].map((op) => [op, [map(op)]]),
  ),
  Gelu: [map('Gelu', 20)],
  Mish: [map('Mish', 18)],
  Swish: [map('Swish', 24)],
  Clip: [through((n, h) => n.op('Clip', [h, n.scalar(0.1), n.scalar(2)]))],
  Log: [through((n, h) => n.op('Log', [n.op('Add', [h, n.scalar(1)])]))],
  Reciprocal: [
    through((n, h) => n.op('Reciprocal', [n.op('Add', [h, n.scalar(1)])])),
    through(
      (n, h) =>
        n.op('Reciprocal', [n.op('Mul', [n.op('Sigmoid', [h]), n.weight([CHANNELS, 1, 1], { around: 2 })])]),
      { open: false },
    ),
  ],
  Not: [
    logic('And'),
    through((n, h) => n.op('Cast', [n.op('Not', [n.op('Greater', [h, n.scalar(1)])])], { to: 1 })),
  ],
  ...Object.fromEntries(
    ['Add', 'Sub', 'Min', 'Max', 'Sum', 'Mean', 'Mul', 'Div', 'Pow'].map((op) => [op, [withOther(op)]]),
  ),
  ...Object.fromEntries(
    ['Equal', 'Greater', 'GreaterOrEqual', 'Less', 'LessOrEqual'].map((op) => [op, [compared(op)]]),
  ),
  ...Object.fromEntries(['And', 'Or', 'Xor'].map((op) => [op, [logic(op)]])),
  Where: [
    through((n, h) => n.op('Where', [n.op('Greater', [h, n.scalar(0.5)]), h, n.weight([CHANNELS, 1, 1])])),
  ],
  PRelu: [through((n, h) => n.op('PRelu', [n.op('Sub', [h, n.scalar(0.5)]), n.weight([CHANNELS, 1, 1])]))],
  Dropout: [map('Dropout')],
  Conv: [
    through((n, h) => n.conv(h, CHANNELS, CHANNELS, { group: CHANNELS })),
    through((n, h) => n.conv(h, CHANNELS, 12, { group: 2 }), { channels: 12 }),
  ],
  ConvTranspose: [
    through((n, h) => n.op('ConvTranspose', [h, n.weight([CHANNELS, 5, 2, 2]), n.weight([5])]), {
      channels: 5,
    }),
    through((n, h) => n.op('ConvTranspose', [h, n.weight([CHANNELS, 2, 2, 2])], { group: 3 })),
  ],
  MatMul: [
    through(
      (n, h) => {
        const rows = n.op('Transpose', [h], { perm: [0, 2, 3, 1] })
        return n.op('Transpose', [n.op('MatMul', [rows, n.weight([CHANNELS, 5])])], { perm: [0, 3, 1, 2] })
      },
      { channels: 5 },
    ),
    through((n, h) => n.op('MatMul', [h, n.op('Transpose', [h], { perm: [0, 1, 3, 2] })])),
  ],
  Gemm: [
    through(
      (n, h) => {
        const y = n.dense(n.op('Flatten', [h]), CHANNELS * SIZE * SIZE, 5)
        return n.op('Unsqueeze', [y, n.ints([2, 3])])
      },
      { channels: 5 },
    ),
  ],
  BatchNormalization: [through((n, h) => n.batchNorm(h, CHANNELS))],
  InstanceNormalization: [
    through((n, h) => n.op('InstanceNormalization', [h, n.weight([CHANNELS]), n.weight([CHANNELS])])),
  ],
  LayerNormalization: [
    through((n, h) => n.op('LayerNormalization', [h, n.weight([SIZE, SIZE])], { axis: 2 })),
    through((n, h) => n.op('LayerNormalization', [h, n.weight([CHANNELS, SIZE, SIZE])], { axis: 1 }), {
      open: false,
    }),
  ],
  LRN: [through((n, h) => n.op('LRN', [h], { size: 3 }), { open: false })],
  Softmax: [
    through((n, h) => n.op('Softmax', [h], { axis: -1 })),
    through((n, h) => n.op('Softmax', [h], { axis: 1 }), { open: false }),
    through((n, h) => n.op('Softmax', [h], { axis: 2 }), { opset: 11 }),
    through((n, h) => n.op('Softmax', [h], { axis: 1 }), { opset: 11, open: false }),
  ],
  LogSoftmax: [through((n, h) => n.op('LogSoftmax', [h], { axis: -1 }))],
  Hardmax: [through((n, h) => n.op('Hardmax', [h], { axis: -1 }))],
  ...Object.fromEntries(
    ['AveragePool', 'MaxPool', 'LpPool'].map((op) => [
      op,
      [map(op, 17, { kernel_shape: [2, 2], strides: [2, 2] })],
    ]),
  ),
  ...Object.fromEntries(['GlobalAveragePool', 'GlobalMaxPool', 'GlobalLpPool'].map((op) => [op, [map(op)]])),
  ReduceSum: [
    reduced('ReduceSum', [2, 3], true),
    reduced('ReduceSum', [1], true),
    through((n, h) => n.op('Mul', [h, n.op('ReduceSum', [n.op('Exp', [h]), n.ints([1])])]), { open: false }),
  ],
  ...Object.fromEntries(
    ['ReduceMean', 'ReduceMax', 'ReduceMin', 'ReduceProd', 'ReduceLogSum', 'ReduceLogSumExp'].map((op) => [
      op,
      [reduced(op, [2, 3], true), reduced(op, [1], false)],
    ]),
  ),
  ...Object.fromEntries(
    ['ReduceL1', 'ReduceL2', 'ReduceSumSquare'].map((op) => [
      op,
      [
        reduced(op, [2, 3], true),
        through((n, h) => n.op('Div', [h, n.op('Add', [n.op(op, [h], { axes: [1] }), n.scalar(1)])])),
      ],
    ]),
  ),
  ...Object.fromEntries(
    ['ArgMax', 'ArgMin'].map((op) => [
      op,
      [
        through((n, h) => n.op('Cast', [n.op(op, [h], { axis: 2 })], { to: 1 })),
        through((n, h) => n.op('Mul', [h, n.op('Cast', [n.op(op, [h], { axis: 1 })], { to: 1 })]), {
          open: false,
        }),
      ],
    ]),
  ),
  Transpose: [map('Transpose', 17, { perm: [0, 1, 3, 2] })],
  Reshape: [
    through((n, h) => n.op('Reshape', [n.op('Reshape', [h, n.ints([0, 6, -1])]), n.ints([0, 0, 2, 8])])),
    through((n, h) => n.op('Reshape', [h, n.ints([-1, 3, 8, 4])]), { channels: 3, open: true }),
  ],
  Flatten: [through((n, h) => n.op('Unsqueeze', [n.op('Flatten', [h]), n.ints([2, 3])]), { channels: 96 })],
  Squeeze: [
    through((n, h) =>
      n.op('Unsqueeze', [n.op('Squeeze', [n.op('GlobalMaxPool', [h]), n.ints([2, 3])]), n.ints([2, 3])]),
    ),
  ],
  Unsqueeze: [through((n, h) => n.op('Squeeze', [n.op('Unsqueeze', [h, n.ints([1])]), n.ints([1])]))],
  DepthToSpace: [
    through((n, h) => n.op('DepthToSpace', [n.conv(h, CHANNELS, 12), ''].slice(0, 1), { blocksize: 2 }), {
      channels: 3,
    }),
    through((n, h) => n.op('DepthToSpace', [n.conv(h, CHANNELS, 12)], { blocksize: 2, mode: 'CRD' }), {
      channels: 3,
    }),
  ],
  SpaceToDepth: [map('SpaceToDepth', 17, { blocksize: 2 })].map(() =>
    through((n, h) => n.op('SpaceToDepth', [h], { blocksize: 2 }), { channels: 24 }),
  ),
  Expand: [
    through((n, h) =>
      n.op('Mul', [h, n.op('Expand', [n.op('GlobalMaxPool', [h]), n.ints([1, CHANNELS, SIZE, SIZE])])]),
    ),
    through((n, h) =>
      n.op('Add', [h, n.op('Expand', [n.weight([1, 1, 1, 1]), n.ints([1, CHANNELS, SIZE, 1])])]),
    ),
  ],
  Concat: [through((n, h) => n.op('Concat', [h, n.op('Sigmoid', [h])], { axis: 1 }), { channels: 12 })],
  Split: [
    through((n, h) => n.op('Mul', n.ops('Split', [h, n.ints([3, 3])], 2, { axis: 1 })), { channels: 3 }),
    through((n, h) => n.op('Add', n.ops('Split', [h], 2, { axis: 1, split: [3, 3] })), {
      channels: 3,
      opset: 11,
    }),
    through((n, h) => n.ops('Split', [h], 2, { axis: 1, num_outputs: 2 })[1], { channels: 3, opset: 18 }),
  ],
  Slice: [
    through((n, h) => n.op('Slice', [h, n.ints([-5]), n.ints([2 ** 31]), n.ints([1])]), { channels: 5 }),
    through((n, h) => n.op('Slice', [h, n.ints([0]), n.ints([6]), n.ints([1]), n.ints([2])]), {
      channels: 3,
      open: false,
    }),
    through((n, h) => n.op('Slice', [h], { starts: [1], ends: [4], axes: [1] }), { channels: 3, opset: 9 }),
  ],
  Gather: [
    through((n, h) => n.op('Gather', [h, n.ints([4, 1, 1, 3])], { axis: 1 }), { channels: 4 }),
    through((n, h) =>
      n.op('Mul', [
        h,
        n.op('Unsqueeze', [
          n.op('Gather', [h, n.constant('k', { dtype: 'int64', dims: [], data: BigInt64Array.of(2n) })], {
            axis: 1,
          }),
          n.ints([1]),
        ]),
      ]),
    ),
  ],
  Shape: [through((n, h) => n.op('Reshape', [n.op('Flatten', [h]), n.op('Shape', [h])]))],
  ConstantOfShape: [
    through(
      (n, h) => n.op('Concat', [h, n.op('ConstantOfShape', [n.ints([2, 3, SIZE, SIZE])])], { axis: 1 }),
      { channels: 9 },
    ),
    through((n, h) =>
      n.op('Add', [h, n.op('ConstantOfShape', [n.op('Shape', [h])], { value: floats([1], [2]) })]),
    ),
  ],
  Cast: [map('Cast', 17, { to: 11 })].map(() =>
    through((n, h) => n.op('Cast', [n.op('Cast', [h], { to: 11 })], { to: 1 })),
  ),
  CastLike: [through((n, h) => n.op('CastLike', [h, n.weight([1])]))],
  Size: [through((n, h) => n.op('Mul', [h, n.op('Cast', [n.op('Size', [h])], { to: 1 })]), { open: false })],
  Range: [through((n, h) => n.op('Add', [h, n.op('Range', [n.scalar(0), n.scalar(SIZE), n.scalar(1)])]))],
  Pad: [
    through((n, h) => n.op('Pad', [h, n.ints([0, 2, 0, 0, 0, 1, 0, 1])]), { channels: 9 }),
    through((n, h) => n.op('Pad', [h], { pads: [0, 1, 0, 0, 0, 0, 0, 0] }), { channels: 7, opset: 9 }),
    through((n, h) => n.op('Pad', [h, n.ints([0, 1, 0, 0, 0, 1, 0, 0])], { mode: 'reflect' }), {
      channels: 8,
      open: false,
    }),
  ],
  Resize: [
    through((n, h) => n.op('Resize', [h, '', n.constant('r', floats([4], [1, 1, 2, 2]))])),
    through((n, h) => n.op('Resize', [h, '', '', n.ints([2, CHANNELS, 8, 8])])),
  ],
  Upsample: [
    through((n, h) => n.op('Upsample', [h, n.constant('r', floats([4], [1, 1, 2, 2]))]), { opset: 9 }),
  ],
}

t.test('every operator of the registry has an example', (t) => {
  const names = operators.map((o) => o.op)
  t.same(
    names.filter((op) => !examples[op]),
    [],
  )
  t.same([...new Set(names)].length, names.length, 'and is there once')
  t.end()
})

for (const { op } of operators) {
  t.test(`${op}: removing channels around it equals zeroing them`, async (t) => {
    for (const { graph, open } of examples[op] ?? []) {
      const subject = await prunable(graph, { x: [2, 3, SIZE, SIZE] })
      const { coupling } = subject
      const first = [...graph.initializers.keys()][0]
      const group = coupling.groups.filter((g) => g.tensors.includes(first) && g.units.length > 1)
      t.equal(
        group.length > 0,
        open,
        `${open ? 'open' : 'left whole'}: ${coupling.whole.map((w) => w.reason)}`,
      )
      for (const seed of [1, 2]) {
        const removed = keepShare(coupling, criteria.random(coupling, { seed }), { share: 0.5 })
        const after = pruned(subject, removed)
        await verifyShapes(subject, removed, after)
        const gap = await gapBetween(zeroUnits(coupling, removed), after, coupling.shapes.inputs, {
          inputs: 2,
        })
        t.ok(gap <= 1, `gap ${gap}`)
      }
    }
  })
}

t.test('an operator that nobody described is left whole and named, and the rest is pruned', async (t) => {
  const n = new Net('unknown')
  const h = n.op('Relu', [n.conv(n.input('x', ['n', 3, 6, 6]), 3, 8)])
  const odd = n.op('QuickGelu', [n.conv(h, 8, 7)], { alpha: 1.5 }, 'com.microsoft')
  const graph = n.build(n.head(n.conv(odd, 7, 6), 6))
  const subject = await prunable(graph)
  const { coupling } = subject
  t.same(coupling.groups.map((g) => g.units.length).sort(), [6, 8])
  t.match(
    coupling.whole.find((w) => w.reason.includes('not described')),
    { operator: /com.microsoft.QuickGelu/ },
  )
  const removed = keepShare(coupling, criteria.l1(coupling), { share: 0.5 })
  const gap = await gapBetween(zeroUnits(coupling, removed), pruned(subject, removed), coupling.shapes.inputs)
  t.ok(gap <= 1, `gap ${gap}`)
})
