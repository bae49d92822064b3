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

t.test(
  'with a dynamic dimension nothing is folded, and what computes with sizes is left whole',
  async (t) => {
    const graph = traced('n')
    t.equal(foldSizes(graph, await captureShapes(graph)), graph)
    t.same((await prunable(graph)).coupling.groups, [])
  },
)
