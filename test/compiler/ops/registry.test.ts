import { type OpDefinition, operators } from '@espalier/server/compiler/ops/index.js'
import { criteria, keepShare } from '@espalier/server/compiler/saliency/index.js'
import { prunable, pruned, verifyShapes, zeroUnits } from '@espalier/server/compiler/surgery/index.js'
import t from 'tap'
import { gapBetween } from '../../support/compare.js'
import { Net } from '../../zoo/index.js'
import { attention } from './examples/attending.js'
import { control } from './examples/control.js'
import { linear } from './examples/linear.js'
import { moving } from './examples/moving.js'
import { normal } from './examples/normal.js'
import { pointwise } from './examples/pointwise.js'
import { quantised } from './examples/quantised.js'
import { recurrent } from './examples/recurrent.js'
import { reducing } from './examples/reducing.js'
import { type Examples, SIZE } from './examples/through.js'

const examples: Examples = {
  ...attention,
  ...control,
  ...quantised,
  ...recurrent,
  ...linear,
  ...moving,
  ...normal,
  ...pointwise,
  ...reducing,
}
const nameOf = ({ op, domain }: OpDefinition) => (domain ? `${domain}.${op}` : op)

t.test('every operator of the registry has an example', (t) => {
  const names = operators.map(nameOf)
  t.same(operators.filter((o) => !o.whole && !examples[nameOf(o)]).map(nameOf), [])
  t.same(
    Object.keys(examples).filter((name) => !names.includes(name)),
    [],
    'and every example an operator',
  )
  t.same([...new Set(names)].length, names.length, 'and is there once')
  t.end()
})

for (const name of Object.keys(examples)) {
  t.test(`${name}: removing channels around it equals zeroing them`, async (t) => {
    for (const { graph, open, groups } of examples[name]) {
      const subject = await prunable(graph, { x: [2, 3, SIZE, SIZE] })
      const { coupling } = subject
      const first = [...graph.initializers.keys()][0]
      const group = coupling.groups.filter((g) => g.tensors.includes(first) && g.units.length > 1)
      t.equal(
        group.length > 0,
        open,
        `${open ? 'open' : 'left whole'}: ${coupling.whole.map((w) => w.reason)}`,
      )
      if (groups)
        t.same(
          coupling.groups.map((g) => g.units.length).sort((a, b) => a - b),
          groups,
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

t.test('what the body of a control-flow operator captures is left whole, and it says why', async (t) => {
  for (const name of Object.keys(control)) {
    const { coupling } = await prunable(control[name][0].graph, { x: [2, 3, SIZE, SIZE] })
    const captured = coupling.whole.filter((w) => w.operator === name)
    t.ok(captured.length > 0, name)
    t.match(captured[0].reason, /control-flow/)
  }
})

t.test('an operator that nobody described is left whole and named, and the rest is pruned', async (t) => {
  const n = new Net('unknown')
  const h = n.op('Relu', [n.conv(n.input('x', ['n', 3, 6, 6]), 3, 8)])
  const odd = n.op('Trilu', [n.conv(h, 8, 7)], {}, 'com.microsoft')
  const graph = n.build(n.head(n.conv(odd, 7, 6), 6))
  const subject = await prunable(graph)
  const { coupling } = subject
  t.same(coupling.groups.map((g) => g.units.length).sort(), [6, 8])
  t.match(
    coupling.whole.find((w) => w.reason.includes('not described')),
    { operator: /com.microsoft.Trilu/ },
  )
  const removed = keepShare(coupling, criteria.l1(coupling), { share: 0.5 })
  const gap = await gapBetween(zeroUnits(coupling, removed), pruned(subject, removed), coupling.shapes.inputs)
  t.ok(gap <= 1, `gap ${gap}`)
})
