import { footprintOf } from '@espalier/server/compiler/analysis/index.js'
import { after, allocate, ladder, type Resource, thinning } from '@espalier/server/compiler/budget/index.js'
import { criteria } from '@espalier/server/compiler/saliency/index.js'
import { prunable, pruned, verifyShapes } from '@espalier/server/compiler/surgery/index.js'
import t from 'tap'
import { convNetwork } from '../../support/networks.js'

const subject = await prunable(convNetwork([32, 48], 10))
const { coupling } = subject
const scores = criteria.l1(coupling)
const thin = (resource: Resource, round = 8) => thinning(coupling, scores, resource, round)
const count = (removed: ReadonlySet<unknown>) =>
  coupling.groups.map((g) => g.units.filter((u) => !removed.has(u)).length)

t.test('the rungs of a group are multiples of the rounding, then halves, down to one', async (t) => {
  const [group] = coupling.groups
  const of = (n: number, round: number) => ladder({ ...group, units: group.units.slice(0, n) }, round)
  t.same(of(20, 8), [20, 16, 8, 4, 2, 1])
  t.same(of(16, 4), [16, 12, 8, 4, 2, 1])
  t.same(of(4, 1), [4, 3, 2, 1])
  t.same(of(3, 8), [3, 1])
})

t.test('every limit holds in the network that is made, with the fewest steps', async (t) => {
  const dense = after(coupling, [], 0).footprint
  for (const [resource, key, limit] of [
    ['macs', 'macs', dense.macs / 2],
    ['params', 'params', dense.params / 3],
    ['memory', 'memoryBytes', dense.predictedRamBytes - 1e5],
  ] as const) {
    const order = thin(resource)
    const found = allocate(coupling, order, { [key]: limit })
    const graph = pruned(subject, found.removed)
    const real = await verifyShapes(subject, found.removed, graph)
    const made = footprintOf(graph, real.dims, real)
    const value = { macs: made.macs, params: made.params, memory: made.predictedRamBytes }[resource]
    t.ok(value <= limit, `${resource} ${value} of ${limit}`)
    t.same(made, found.footprint, 'costs are predicted exactly')
    const oneLess = after(coupling, order, found.steps - 1).footprint
    const before = { macs: oneLess.macs, params: oneLess.params, memory: oneLess.predictedRamBytes }[resource]
    t.ok(before > limit, 'one step less would not do')
    t.ok(
      count(found.removed).every((n) => n % 8 === 0),
      `${count(found.removed)}`,
    )
  }
})

t.test('within a group the units of least saliency go first, and both groups give', async (t) => {
  const { removed } = allocate(coupling, thin('macs', 1), { macs: after(coupling, [], 0).footprint.macs / 3 })
  coupling.groups.forEach((group, g) => {
    const gone = group.units.flatMap((u, i) => (removed.has(u) ? [scores[g][i]] : []))
    const kept = group.units.flatMap((u, i) => (removed.has(u) ? [] : [scores[g][i]]))
    t.ok(gone.length > 0 && kept.length > 0)
    t.ok(Math.max(...gone) <= Math.min(...kept))
  })
})

t.test(
  'at the floor one unit of each group is left; below it there is an error that says the least',
  async (t) => {
    const order = thin('macs')
    const floor = after(coupling, order, order.length)
    t.same(
      count(floor.removed),
      coupling.groups.map(() => 1),
    )
    t.equal(allocate(coupling, order, { macs: floor.footprint.macs }).steps, order.length)
    t.throws(() => allocate(coupling, order, { macs: floor.footprint.macs - 1 }), {
      code: 'BUDGET_UNREACHABLE',
      least: floor.footprint.macs,
    })
    t.throws(() => allocate(coupling, order, { memoryBytes: 1000 }), {
      code: 'BUDGET_UNREACHABLE',
      message: /inspect/,
    })
  },
)

t.test('several limits hold at once, and none asks for nothing', async (t) => {
  const dense = after(coupling, [], 0).footprint
  const { footprint } = allocate(coupling, thin('macs'), {
    macs: dense.macs * 0.7,
    params: dense.params * 0.2,
  })
  t.ok(footprint.macs <= dense.macs * 0.7 && footprint.params <= dense.params * 0.2)
  t.equal(allocate(coupling, thin('macs'), {}).steps, 0)
})
