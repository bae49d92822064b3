import { captureShapes } from '@espalier/server/compiler/analysis/index.js'
import type { Dim } from '@espalier/server/compiler/graph/index.js'
import { criteria, keepShare } from '@espalier/server/compiler/saliency/index.js'
import { foldSizes, prunable } from '@espalier/server/compiler/surgery/index.js'
import t from 'tap'
import { Net } from '../../zoo/index.js'
import { agreementOf } from '../../zoo/oracle.js'

/** Attention's view and scale as they are traced: the width over the heads, and one over the root of what that gives. */
function traced(batch: Dim) {
  const n = new Net('traced sizes')
  const x = n.op('MatMul', [n.input('x', [batch, 5, 6]), n.weight([6, 12])])
  const at = (v: string, i: number) => n.op('Gather', [n.op('Shape', [v]), n.int(i)])
  const own = (v: string) => n.op('Unsqueeze', [v, n.ints([0])])
  const width = n.op('Div', [at(x, 2), n.int(3)])
  const sizes = n.op('Concat', [own(at(x, 0)), own(at(x, 1)), n.ints([3]), own(width)], { axis: 0 })
  const heads = n.op('Transpose', [n.op('Reshape', [x, sizes])], { perm: [0, 2, 1, 3] })
  const root = n.op('Sqrt', [n.op('Cast', [at(heads, 3)], { to: 1 })])
  const scores = n.op('MatMul', [
    n.op('Div', [heads, root]),
    n.op('Transpose', [heads], { perm: [0, 1, 3, 2] }),
  ])
  return n.build(n.op('Softmax', [scores], { axis: -1 }))
}

t.test('sizes that cannot change become constants, and what counted them follows', async (t) => {
  const graph = traced(2)
  const folded = foldSizes(graph, await captureShapes(graph))
  t.same(
    folded.nodes.filter((n) => ['Shape', 'Gather', 'Concat'].includes(n.op)),
    [],
  )
  const subject = await prunable(graph)
  t.same(
    subject.coupling.groups.map((g) => g.units.length),
    [4],
    'the channels in a head; heads are in the output',
  )
  const removed = keepShare(subject.coupling, criteria.random(subject.coupling, { seed: 1 }), { share: 0.5 })
  const { gap, varies } = await agreementOf(subject, removed)
  t.ok(gap <= 1, `the root stays that of the whole width: gap ${gap}`)
  t.ok(varies)
})

t.test('with a dynamic batch its size is still computed, and all others become constants', async (t) => {
  const graph = traced('n')
  const folded = foldSizes(graph, await captureShapes(graph))
  const left = folded.nodes.filter((n) => ['Shape', 'Gather', 'Concat', 'Div'].includes(n.op))
  t.same(
    left.map((n) => n.op),
    ['Shape', 'Gather', 'Concat', 'Div'],
    'the batch, into the sizes of the view; and the scores by the root',
  )
  const subject = await prunable(graph)
  t.same(
    subject.coupling.groups.map((g) => g.units.length),
    [4],
  )
  const removed = keepShare(subject.coupling, criteria.random(subject.coupling, { seed: 1 }), { share: 0.5 })
  t.ok((await agreementOf(subject, removed)).gap <= 1)
})

t.test('a width that depends on a dynamic dimension is left whole where it is computed with', async (t) => {
  const graph = traced('n')
  const open = graph.with({ inputs: [{ name: 'x', dtype: 'float32', dims: ['n', 'm', 6] }] })
  const n = new Net('by length')
  const x = n.op('MatMul', [n.input('x', ['n', 'm', 6]), n.weight([6, 12])])
  const length = n.op('Gather', [n.op('Shape', [x]), n.int(1)])
  const scaled = n.op('Div', [x, n.op('Sqrt', [n.op('Cast', [length], { to: 1 })])])
  const counted = n.build(scaled)
  t.equal(foldSizes(counted, await captureShapes(counted)), counted, 'a length is no constant')
  t.same(
    (await prunable(open)).coupling.groups.map((g) => g.units.length),
    [4],
  )
})
