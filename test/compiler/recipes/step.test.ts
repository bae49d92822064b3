import { allocate, costWithout } from '@espalier/server/compiler/budget/index.js'
import { measuredStep, STEPS } from '@espalier/server/compiler/recipes/index.js'
import { quickest } from '@espalier/server/compiler/recipes/step.js'
import { criteria } from '@espalier/server/compiler/saliency/index.js'
import { prunable } from '@espalier/server/compiler/surgery/index.js'
import t from 'tap'
import { convNetwork } from '../../support/networks.js'

const subject = await prunable(convNetwork([32, 64], 3))
const { coupling } = subject
const dense = costWithout(coupling, [])
const choose = (share: number) => (round: number) =>
  allocate(coupling, criteria.l1(coupling), { macs: share * dense.macs }, { round })

t.test('the step is one of those measured, and its choice meets the limits', async (t) => {
  const { round, choice, ms } = await measuredStep(subject, choose(0.5))
  t.ok(STEPS.some((s) => s === round))
  t.ok(ms > 0)
  t.same(choice.removed, choose(0.5)(round).removed)
  t.ok(choice.costs.macs <= dense.macs / 2)
})

t.test('nothing is measured where the dense network meets the limits', async (t) => {
  const { choice, ms } = await measuredStep(subject, choose(1))
  t.equal(choice.removed.size, 0)
  t.equal(ms, 0)
})

t.test('the fastest counts, unless it keeps clearly less; of equals what keeps the most', async (t) => {
  const step = (round: number, ms: number, saliency: number, used = 1) => ({
    round,
    ms,
    choice: { ...choose(0.5)(8), saliency, used },
  })
  const of = (...steps: Parameters<typeof step>[]) => quickest(steps.map((s) => step(...s))).round
  t.equal(of([4, 3, 0.9], [8, 2, 0.895], [16, 1, 0.89]), 16)
  t.equal(of([4, 3, 0.9], [8, 2, 0.895], [16, 1, 0.8]), 8)
  t.equal(of([4, 1.01, 0.9], [8, 1, 0.895], [16, 1.2, 0.9]), 4)
  t.equal(of([4, 3, 0.9, 0.99], [8, 2, 0.9, 0.95], [16, 1, 0.9, 0.8]), 8, 'a tenth of the limit is not left')
})
