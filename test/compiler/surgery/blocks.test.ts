import { existsSync } from 'node:fs'
import { footprintOf, type Unit, xorshift } from '@espalier/server/compiler/analysis/index.js'
import type { Graph } from '@espalier/server/compiler/graph/index.js'
import { readModel, readModelFile, writeModel } from '@espalier/server/compiler/onnx/index.js'
import { criteria, keepShare } from '@espalier/server/compiler/saliency/index.js'
import { prunable, pruned, verifyShapes } from '@espalier/server/compiler/surgery/index.js'
import t from 'tap'
import { architectures, attention, invertedResidual, Net, paddedShortcut } from '../../zoo/index.js'
import { convBn, dense, gelu, layerNorm, linear, relu } from '../../zoo/layers.js'
import { agreementOf } from '../../zoo/oracle.js'

const WIDTH = 12

/** Transformer layers without attention's detail: two branches a layer, around them what `place` says. */
function layers(name: string, place: (n: Net, x: string, branch: (h: string) => string) => string): Graph {
  const n = new Net(name)
  let x = dense(n, n.input('x', ['n', 5, 8]), 8, WIDTH)
  const mixing = (h: string) => {
    const scores = n.op('MatMul', [
      dense(n, h, WIDTH, 6),
      n.op('Transpose', [dense(n, h, WIDTH, 6)], { perm: [0, 2, 1] }),
    ])
    return dense(
      n,
      n.op('MatMul', [n.op('Softmax', [scores], { axis: -1 }), dense(n, h, WIDTH, 8)]),
      8,
      WIDTH,
    )
  }
  const forward = (h: string) => dense(n, gelu(n, dense(n, h, WIDTH, 16)), 16, WIDTH)
  for (let i = 0; i < 2; i++) x = place(n, place(n, x, mixing), forward)
  return n.build(dense(n, n.op('ReduceMean', [x], { axes: [1], keepdims: 0 }), WIDTH, 4))
}

const normed = (n: Net, x: string) => layerNorm(n, x, WIDTH)
const transformers: readonly Graph[] = [
  layers('pre-norm', (n, x, f) => n.op('Add', [x, f(normed(n, x))])),
  layers('post-norm', (n, x, f) => normed(n, n.op('Add', [f(x), x]))),
  layers('normed branch', (n, x, f) => n.op('Add', [x, normed(n, f(x))])),
  layers('layer scale and dropout', (n, x, f) =>
    n.op('Add', [x, n.op('Dropout', [n.op('Mul', [n.weight([WIDTH]), f(normed(n, x))])])]),
  ),
]

const named = (name: string): Graph => {
  const found = architectures.find((a) => a.name === name)
  if (!found) throw new Error(`the zoo has no ${name}`)
  return found.make()
}
const resnet20 = '../shared/models/resnet20-cifar10.onnx'
const networks: readonly (readonly [blocks: number, graph: Graph])[] = [
  [4, named('ResNet basic')],
  [2, named('ResNet bottleneck')],
  [3, named('ResNet pre-activation')],
  [4, named('BERT')],
  [1, invertedResidual()],
  [2, attention()],
  ...transformers.map((graph) => [4, graph] as const),
  ...(existsSync(resnet20) ? [[7, await readModelFile(resnet20)] as const] : []),
]

for (const [count, graph] of networks) {
  t.test(`${graph.name}: each block can go alone, all together, and any with channels`, async (t) => {
    const subject = await prunable(graph)
    const { coupling } = subject
    const { blocks, shapes } = coupling
    t.equal(blocks.length, count, blocks.map((b) => b.label).join())
    const random = xorshift(count)
    const some = (seed: number): Unit[] => [
      ...blocks.filter(() => random() < 0.5),
      ...keepShare(coupling, criteria.random(coupling, { seed }), { share: 0.3 + 0.2 * seed }),
    ]
    for (const removed of [...blocks.map((b) => [b]), blocks, some(1), some(2), some(3)]) {
      const { gap, varies } = await agreementOf(subject, new Set(removed))
      t.ok(gap <= 1, `${removed.length} units: gap ${gap}`)
      t.ok(varies || removed.length > 1)
    }
    const removed = some(2)
    const after = readModel(writeModel(pruned(subject, removed)))
    const real = await verifyShapes(subject, removed, after)
    const said = footprintOf(coupling.without(removed), coupling.dims(removed), shapes)
    const seen = footprintOf(after, real.dims, shapes)
    // Around a normalisation of what lost channels, zeros are put back: nodes and bytes that nobody predicts.
    const refilled = after.nodes.some((n) => n.name.endsWith('.cut'))
    const of = (f: typeof said) => (refilled ? { macs: f.macs, params: f.params } : f)
    t.same(of(said), of(seen), 'what is left costs what was predicted')
  })
}

const labels = async (graph: Graph) => (await prunable(graph)).coupling.blocks.map((b) => b.label)

t.test('a shortcut that projects, pads or strides is no block, nor is a sum of strangers', async (t) => {
  t.same(await labels(paddedShortcut()), [])
  const n = new Net('projection')
  const x = convBn(n, n.input('x', ['n', 3, 8, 8]), 3, 6)
  const branch = convBn(n, x, 6, 8, { stride: 2, act: linear })
  const y = n.op('Add', [branch, convBn(n, x, 6, 8, { k: 1, stride: 2, act: linear })])
  t.same(await labels(n.build(n.head(y, 8))), [])
  const wide = new Net('broadcast')
  const channels = wide.op('GlobalAveragePool', [wide.input('x', ['n', 3, 8, 8])])
  const map = wide.op('Resize', [channels, '', '', wide.ints([2, 3, 4, 4])])
  t.same(await labels(wide.build(wide.op('Add', [channels, wide.conv(map, 3, 3)]))), [])
})

t.test('what else reads a branch decides how much of it goes', async (t) => {
  const network = (tap: 'middle' | 'end' | 'nothing') => {
    const n = new Net(`read at its ${tap}`)
    const x = convBn(n, n.input('x', ['n', 3, 8, 8]), 3, 6)
    const middle = convBn(n, x, 6, 7)
    const end = n.conv(middle, 7, 6)
    const y = n.op('Add', [x, n.op('Dropout', [end])])
    const other = { middle: () => [n.conv(middle, 7, 6)], end: () => [relu(n, end)], nothing: () => [] }[
      tap
    ]()
    return n.build(n.head(y, 6), ...other.map((value) => n.head(value, 6)))
  }
  const [whole] = (await prunable(network('nothing'))).coupling.blocks
  t.same(
    whole.nodes.map((n) => n.op),
    ['Conv', 'BatchNormalization', 'Relu', 'Conv', 'Dropout'],
  )
  const read = await prunable(network('middle'))
  t.same(
    read.coupling.blocks[0].nodes.map((n) => n.op),
    ['Conv', 'Dropout'],
  )
  t.ok((await agreementOf(read, new Set(read.coupling.blocks))).gap <= 1)
  t.same(await labels(network('end')), [])
})

t.test('blocks nest, run side by side, and subtract; a sum of three loses one', async (t) => {
  const n = new Net('nested')
  const x = convBn(n, n.input('x', ['n', 3, 8, 8]), 3, 6)
  const inner = n.op('Add', [x, convBn(n, x, 6, 6)])
  const outer = n.op('Sub', [x, n.conv(inner, 6, 6)])
  const beside = n.op('Sum', [n.conv(outer, 6, 6), outer, n.conv(relu(n, outer), 6, 6)])
  const subject = await prunable(n.build(n.head(beside, 6)))
  const { blocks } = subject.coupling
  t.equal(blocks.length, 4)
  t.ok(blocks[1].nodes.length > blocks[0].nodes.length, 'the outer block holds the inner one')
  for (let mask = 1; mask < 16; mask++) {
    const removed = blocks.filter((_, i) => mask & (1 << i))
    t.ok((await agreementOf(subject, new Set(removed))).gap <= 1, `blocks ${mask.toString(2)}`)
  }
})

t.test('layers that share their weights go one by one', async (t) => {
  const n = new Net('shared layers')
  const [w, v, b, c] = [n.weight([6, 9]), n.weight([9, 6]), n.weight([9]), n.weight([6])]
  let x = n.op('MatMul', [n.input('x', ['n', 5]), n.weight([5, 6])])
  for (let i = 0; i < 3; i++) x = n.op('Add', [x, n.op('Gemm', [relu(n, n.op('Gemm', [x, w, b])), v, c])])
  const subject = await prunable(n.build(n.dense(x, 6, 3)))
  const { blocks } = subject.coupling
  t.equal(blocks.length, 3)
  const one = new Set([blocks[1]])
  t.ok((await agreementOf(subject, one)).gap <= 1)
  t.ok(pruned(subject, one).initializers.has(v), 'what other layers read stays')
  t.notOk(pruned(subject, blocks).initializers.has(v), 'what nobody reads goes')
  t.ok((await agreementOf(subject, new Set(blocks))).gap <= 1)
})

t.test('a sum that is an output keeps its name', async (t) => {
  const n = new Net('named output')
  const x = n.conv(n.input('x', ['n', 3, 4, 4]), 3, 5)
  const y = n.op('Add', [x, n.conv(x, 5, 5)])
  const subject = await prunable(n.build(n.op('Relu', [y]), y))
  const after = pruned(subject, subject.coupling.blocks)
  t.same(
    after.outputs.map((o) => o.name),
    subject.original.outputs.map((o) => o.name),
  )
  t.ok((await agreementOf(subject, new Set(subject.coupling.blocks))).gap <= 1)
})
