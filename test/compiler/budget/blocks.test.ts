import { footprintOf } from '@espalier/server/compiler/analysis/index.js'
import { problemOf } from '@espalier/server/compiler/budget/allocate.js'
import { allocate, type Costs, costsWithout, floor } from '@espalier/server/compiler/budget/index.js'
import { criteria } from '@espalier/server/compiler/saliency/index.js'
import { prunable, pruned, verifyShapes } from '@espalier/server/compiler/surgery/index.js'
import t from 'tap'
import { architectures } from '../../zoo/index.js'

const residual = architectures.find((a) => a.name === 'ResNet basic')
if (!residual) throw new Error('the zoo has a ResNet')
const subject = await prunable(residual.make())
const { coupling } = subject
const { blocks, groups } = coupling
const scores = criteria.l1(coupling)
const whole = allocate(coupling, scores, {}).costs
/** The same scores, but for those of the blocks. */
const scored = (...of: number[]) => [...scores.slice(0, groups.length), Float64Array.from(of)]
const gone = (removed: ReadonlySet<unknown>) => blocks.flatMap((b, i) => (removed.has(b) ? [i] : []))

t.test('blocks that are worth little go before channels, and costs are exact', async (t) => {
  for (const limits of [
    { macs: whole.macs * 0.6 },
    { params: whole.params * 0.6 },
    { memoryBytes: whole.memory - 0.4 * (whole.memory - floor(coupling).costs.memory) },
    { macs: whole.macs * 0.7, params: whole.params * 0.5 },
  ]) {
    const found = allocate(coupling, scored(0.01, 1, 0.01, 1), limits, { round: 2 })
    const went = gone(found.removed)
    t.ok(went.includes(0) || went.includes(2), `${JSON.stringify(limits)}: ${went}`)
    const graph = pruned(subject, found.removed)
    const real = await verifyShapes(subject, found.removed, graph)
    t.same(footprintOf(graph, real.dims, real), found.footprint)
    t.ok(
      found.costs.macs <= (limits.macs ?? whole.macs) &&
        found.costs.params <= (limits.params ?? whole.params),
    )
    t.ok(found.costs.memory <= (limits.memoryBytes ?? whole.memory))
  }
})

t.test('blocks that are worth much stay, and depth keeps the best whatever they are worth', (t) => {
  const limits = { macs: whole.macs * 0.6 }
  t.same(gone(allocate(coupling, scored(99, 99, 99, 99), limits).removed), [])
  t.same(gone(allocate(coupling, scored(0.01, 0.02, 0.03, 0.04), limits, { depth: 1 }).removed), [])
  const half = gone(allocate(coupling, scored(0.04, 0.01, 0.03, 0.02), limits, { depth: 0.5 }).removed)
  t.ok(half.length > 0 && half.every((i) => i === 1 || i === 3), `${half}`)
  t.end()
})

t.test('a block is not spent where a few channels would do', (t) => {
  const found = allocate(coupling, scores, { macs: whole.macs * 0.99 }, { round: 1 })
  t.same(gone(found.removed), [])
  t.ok(found.removed.size > 0)
  t.end()
})

t.test('at the floor no block is left', (t) => {
  const least = floor(coupling)
  t.equal(gone(least.removed).length, blocks.length)
  t.same(allocate(coupling, scores, { macs: least.costs.macs }).costs, least.costs)
  t.end()
})

t.test('the estimate counts blocks in and out exactly, in any order', (t) => {
  const { estimator, ranked } = problemOf(coupling, scores, { macs: 1 })
  const all = ranked.map(({ rungs }) => rungs[0])
  const order = [0b0001, 0b1011, 0b0110, 0b1111, 0]
  for (const mask of order) {
    const removed = blocks.filter((_, i) => mask & (1 << i))
    const estimate = estimator.at(
      all.map((n, g) => (mask & (1 << (g - groups.length)) && g >= groups.length ? 0 : n)),
    )
    const exact = costsWithout(coupling, removed).costs
    for (const r of ['macs', 'params', 'artifact'] as const satisfies (keyof Costs)[])
      t.equal(estimate[r], exact[r], `${r} without ${mask.toString(2)}`)
  }
  t.end()
})
