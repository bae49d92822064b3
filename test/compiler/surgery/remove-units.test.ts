import { constants, type Unit, xorshift } from '@espalier/server/compiler/analysis/index.js'
import type { Graph } from '@espalier/server/compiler/graph/index.js'
import { criteria, keepShare } from '@espalier/server/compiler/saliency/index.js'
import { prunable, pruned, verifyShapes, zeroUnits } from '@espalier/server/compiler/surgery/index.js'
import t from 'tap'
import { gapBetween } from '../../support/compare.js'
import { channelShuffle, fusedAttention, invertedResidual, sharedWeights, zoo } from '../../zoo/index.js'

const elements = (g: Graph) =>
  [...constants(g)].reduce((sum, [, t]) => sum + (t.dtype === 'float32' ? t.data.length : 0), 0)

for (const graph of zoo) {
  t.test(`${graph.name}: removing units equals zeroing them`, async (t) => {
    const subject = await prunable(graph)
    const { coupling } = subject
    t.ok(coupling.groups.length > 0, `${coupling.groups.map((g) => `${g.label}: ${g.units.length}`)}`)
    for (const seed of [1, 2, 3]) {
      const removed = keepShare(coupling, criteria.random(coupling, { seed }), { share: 0.2 + 0.2 * seed })
      const after = pruned(subject, removed)
      await verifyShapes(subject, removed, after)
      const gap = await gapBetween(zeroUnits(coupling, removed), after, coupling.shapes.inputs, { seed })
      t.ok(gap <= 1, `gap ${gap}`)
      t.ok(elements(after) < elements(subject.coupling.graph), 'something was removed')
      t.same(
        after.outputs.map((o) => o.name),
        graph.outputs.map((o) => o.name),
      )
    }
  })

  t.test(`${graph.name}: each unit can go by itself`, async (t) => {
    const subject = await prunable(graph)
    const { coupling } = subject
    for (const group of coupling.groups.filter((g) => g.units.length > 1)) {
      const removed = [group.units[0]]
      const after = pruned(subject, removed)
      const gap = await gapBetween(zeroUnits(coupling, removed), after, coupling.shapes.inputs, { inputs: 1 })
      t.ok(gap <= 1, `${group.label}: gap ${gap}`)
    }
  })
}

t.test('with two slices swapped, removing is not zeroing', async (t) => {
  const subject = await prunable(invertedResidual())
  const { coupling } = subject
  const group = coupling.groups.find((g) => g.units.length === 12)
  if (!group) throw new Error('the expanded channels form a group of 12')
  const [a, b, c] = group.units
  const swapped: Unit[] = [{ ...a, id: b.id }]
  const honest = await gapBetween(zeroUnits(coupling, [a]), pruned(subject, [a]), coupling.shapes.inputs)
  const gap = await gapBetween(
    zeroUnits(coupling, [a, c]),
    pruned(subject, [...swapped, c]),
    coupling.shapes.inputs,
  )
  t.ok(honest <= 1)
  t.ok(gap > 1, `gap ${gap}`)
})

t.test('a unit is as small as the network allows', async (t) => {
  const sizes = async (g: Graph) => (await prunable(g)).coupling.groups.map((group) => group.units.length)
  t.same((await sizes(invertedResidual())).sort(), [12, 4, 6])
  const fused = await sizes(fusedAttention())
  t.ok(fused.includes(4), `heads are units: ${fused}`)
  t.ok(fused.includes(3), `so are a head's channels: ${fused}`)
  t.ok((await sizes(channelShuffle())).includes(12), 'a shuffle keeps channels apart')
})

t.test(
  'a constant that several nodes read is sliced for each as it needs, and joined again where alike',
  async (t) => {
    const graph = sharedWeights()
    const subject = await prunable(graph)
    const random = xorshift(4)
    const removed = subject.coupling.groups.flatMap((g) => g.units.filter((_, i) => i > 0 && random() < 0.5))
    const after = pruned(subject, removed)
    t.ok(
      await gapBetween(zeroUnits(subject.coupling, removed), after, subject.coupling.shapes.inputs).then(
        (g) => g <= 1,
      ),
    )
    t.equal(pruned(subject, []), graph, 'the same object if nothing goes')
  },
)
