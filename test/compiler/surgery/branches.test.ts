import { type Graph, tensor } from '@espalier/server/compiler/graph/index.js'
import { MICROSOFT } from '@espalier/server/compiler/ops/index.js'
import { criteria, keepShare } from '@espalier/server/compiler/saliency/index.js'
import { prunable, pruned } from '@espalier/server/compiler/surgery/index.js'
import t from 'tap'
import { Net } from '../../zoo/index.js'
import { dense, gelu } from '../../zoo/layers.js'
import { agreementOf } from '../../zoo/oracle.js'

const [WIDTH, LENGTH, HEADS] = [12, 5, 3]

/** Two layers over a sequence, around whose branches `place` adds; the branch is given what it starts from. */
function layers(
  name: string,
  opset: number,
  place: (n: Net, x: string, product: string) => string,
  branches: readonly ((n: Net, x: string) => string)[],
): Graph {
  const n = new Net(name, opset)
  let x = dense(n, n.input('x', ['n', LENGTH, 8]), 8, WIDTH)
  for (let i = 0; i < 2; i++) for (const branch of branches) x = place(n, x, branch(n, x))
  const mean = n.op('GlobalAveragePool', [n.op('Transpose', [x], { perm: [0, 2, 1] })])
  return n.build(n.dense(n.op('Flatten', [mean]), WIDTH, 4))
}

const product = (n: Net, x: string, from: number, to: number) => n.op('MatMul', [x, n.weight([from, to])])
const add = (n: Net, x: string, y: string) => n.op('Add', [x, y])
const forward = (n: Net, x: string) => product(n, gelu(n, dense(n, x, WIDTH, 16)), 16, WIDTH)
/** As onnxruntime's optimiser leaves BERT: the sum, the bias of the branch and the normalisation in one. */
const skipNorm = (n: Net, x: string, y: string) =>
  n.op(
    'SkipLayerNormalization',
    [y, x, n.weight([WIDTH], { around: 1 }), n.weight([WIDTH]), n.weight([WIDTH])],
    { epsilon: 1e-5 },
    MICROSOFT,
  )
const skipRms = (n: Net, x: string, y: string) =>
  n.op('SkipSimplifiedLayerNormalization', [x, y, n.weight([WIDTH], { around: 1 })], {}, MICROSOFT)

const packed = (n: Net, x: string) =>
  n.op('Attention', [x, n.weight([WIDTH, 3 * WIDTH]), n.weight([3 * WIDTH])], { num_heads: HEADS }, MICROSOFT)
const multiHead = (n: Net, x: string) =>
  n.op(
    'MultiHeadAttention',
    [...[0, 1, 2].map(() => product(n, x, WIDTH, WIDTH)), n.weight([3 * WIDTH])],
    { num_heads: HEADS },
    MICROSOFT,
  )
const attention = (n: Net, x: string) =>
  n.op(
    'Attention',
    [0, 1, 2].map(() => product(n, x, WIDTH, WIDTH)),
    { q_num_heads: HEADS, kv_num_heads: HEADS },
  )

/** A recurrence over x[n, LENGTH, WIDTH], starting from zeros or from nothing. */
const recurrence = (op: string, gates: number, states: number) => (n: Net, x: string) => {
  const steps = n.op('Transpose', [x], { perm: [1, 0, 2] })
  const weights = [WIDTH, WIDTH].map((from) => n.weight([1, gates * WIDTH, from]))
  const batch = n.op('Slice', [n.op('Shape', [x]), n.ints([0]), n.ints([1])])
  const zeros = n.op('ConstantOfShape', [n.op('Concat', [n.ints([1]), batch, n.ints([WIDTH])], { axis: 0 })])
  const initial = Array.from({ length: states }, () => zeros)
  const y = n.op(op, [steps, ...weights, n.weight([1, 2 * gates * WIDTH]), '', ...initial], {
    hidden_size: WIDTH,
  })
  return n.op('Transpose', [n.op('Squeeze', [y, n.ints([1])])], { perm: [1, 0, 2] })
}

/** Through uint8 and back, at a zero point of 119; weights around one of 3. */
function quantised(): Graph {
  const n = new Net('quantised residuals')
  const point = (value: number) => n.constant('z', tensor('uint8', [], Uint8Array.of(value)))
  const pair = (x: string) => {
    const [step, rest] = [n.scalar(0.05), point(119)]
    return n.op('DequantizeLinear', [n.op('QuantizeLinear', [x, step, rest]), step, rest])
  }
  const conv = (x: string, from: number, to: number) => {
    const values = Int8Array.from({ length: to * from * 9 }, (_, i) => ((i * 37) % 251) - 125)
    const points = Int8Array.from({ length: to }, (_, i) => 3 - (i % 4))
    const weight = n.op(
      'DequantizeLinear',
      [
        n.constant('q', tensor('int8', [to, from, 3, 3], values)),
        n.floats(
          [to],
          Float32Array.from({ length: to }, (_, i) => 0.002 * (1 + (i % 3))),
        ),
        n.constant('z', tensor('int8', [to], points)),
      ],
      { axis: 0 },
    )
    return pair(n.op('Conv', [x, weight, n.weight([to])], { pads: [1, 1, 1, 1] }))
  }
  let x = conv(pair(n.input('x', ['n', 3, 6, 6])), 3, 8)
  for (let i = 0; i < 2; i++) x = pair(n.op('Add', [x, conv(n.op('Relu', [x]), 8, 8)]))
  return n.build(n.head(x, 8))
}

const networks: readonly (readonly [blocks: number, graph: Graph])[] = [
  [4, layers('fused attention, post-norm', 13, skipNorm, [packed, forward])],
  [4, layers('fused attention of three inputs, post-norm', 17, skipNorm, [multiHead, forward])],
  [4, layers('root mean squares', 17, skipRms, [multiHead, forward])],
  [4, layers('attention as of opset 23', 23, add, [attention, forward])],
  [2, layers('LSTM', 17, add, [recurrence('LSTM', 4, 2)])],
  [2, layers('GRU', 17, add, [recurrence('GRU', 3, 0)])],
  [2, layers('RNN', 17, add, [recurrence('RNN', 1, 1)])],
  [2, quantised()],
]

for (const [count, graph] of networks) {
  t.test(`${graph.name}: its branches can go, one by one, together, and with channels`, async (t) => {
    const subject = await prunable(graph)
    const { coupling } = subject
    const { blocks } = coupling
    t.equal(blocks.length, count, blocks.map((b) => b.label).join())
    const half = keepShare(coupling, criteria.random(coupling, { seed: 1 }), { share: 0.5 })
    t.ok(half.size > 0)
    for (const removed of [...blocks.map((b) => [b]), blocks, [blocks[0], ...half], [...half]]) {
      const { gap } = await agreementOf(subject, new Set(removed))
      t.ok(gap <= 1, `${removed.length} units: gap ${gap}`)
    }
  })
}

t.test('a branch that a recurrence ends stays where a state does not start from zero', async (t) => {
  const learned = (n: Net, x: string) => {
    const steps = n.op('Transpose', [x], { perm: [1, 0, 2] })
    const initial = n.op('Exp', [n.op('ReduceMean', [steps], { axes: [0] })])
    const y = n.op(
      'GRU',
      [
        steps,
        n.weight([1, 3 * WIDTH, WIDTH]),
        n.weight([1, 3 * WIDTH, WIDTH]),
        n.weight([1, 6 * WIDTH]),
        '',
        initial,
      ],
      { hidden_size: WIDTH },
    )
    return n.op('Transpose', [n.op('Squeeze', [y, n.ints([1])])], { perm: [1, 0, 2] })
  }
  const { coupling } = await prunable(layers('learned', 17, add, [learned]))
  t.same(coupling.blocks, [])
})

t.test(
  "a stream through onnxruntime's fusions of sum and normalisation loses width, below opset 17 too",
  async (t) => {
    for (const opset of [13, 17]) {
      const subject = await prunable(layers('fused', opset, skipNorm, [forward]))
      const { coupling } = subject
      const stream = coupling.groups.find((g) => g.units.length === WIDTH && g.tensors.length > 8)
      t.ok(stream, `opset ${opset}`)
      const removed = new Set(stream?.units.slice(0, 5))
      const { gap, varies } = await agreementOf(subject, removed)
      t.ok(gap <= 1 && varies, `gap ${gap}`)
      t.equal(pruned(subject, []), subject.original, 'what loses nothing stays as it came')
    }
  },
)
