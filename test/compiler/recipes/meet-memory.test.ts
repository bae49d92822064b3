import { after, thinning } from '@espalier/server/compiler/budget/index.js'
import { corrected, meetMemory } from '@espalier/server/compiler/recipes/meet-memory.js'
import { criteria } from '@espalier/server/compiler/saliency/index.js'
import { prunable } from '@espalier/server/compiler/surgery/index.js'
import t from 'tap'
import { convNetwork } from '../../support/networks.js'

const { coupling } = await prunable(convNetwork([64, 96], 10))
const order = thinning(coupling, criteria.l1(coupling), 'memory', 4)
const dense = after(coupling, order, 0).footprint.predictedRamBytes
const floor = after(coupling, order, order.length).footprint.predictedRamBytes

/** A machine on which everything takes 30 % more than predicted, and 100 kB on top, in steps of 8 kB. */
const real = (predicted: number) => Math.ceil((1.3 * predicted + 1e5) / 8192) * 8192

t.test('a corrected prediction passes through what was measured and is straight between', async (t) => {
  const ram = corrected([
    { predicted: 2e6, measured: 3e6 },
    { predicted: 1e6, measured: 1e6 },
  ])
  const at = (predictedRamBytes: number) =>
    ram({ predictedRamBytes, macs: 0, params: 0, weightBytes: 0, peakActivationBytes: 0 })
  t.same([1e6, 1.5e6, 2e6].map(at), [1e6, 2e6, 3e6])
  t.same([0.5e6, 4e6].map(at), [0.5e6, 6e6], "beyond, the nearest one's ratio")
  t.equal(corrected([])(after(coupling, [], 0).footprint), dense, 'nothing measured: as predicted')
})

t.test('whatever the machine, the budget holds by measurement and is used', async (t) => {
  for (const share of [0.75, 0.5, 0.25]) {
    const budget = real(floor) + share * (real(dense) - real(floor))
    let measured = 0
    const found = await meetMemory(coupling, order, { memoryBytes: budget }, [], async (c) => {
      measured++
      return real(c.footprint.predictedRamBytes)
    })
    t.ok(found.measured <= budget, `${share}: ${found.measured} of ${budget}`)
    const larger = real(after(coupling, order, found.steps - 1).footprint.predictedRamBytes)
    t.ok(
      found.measured >= 0.85 * budget || larger > 0.97 * budget,
      `${share}: used, or the next was too large`,
    )
    t.ok(measured <= 7, `${measured} candidates`)
  }
})

t.test('a budget below the measured floor is refused with the floor', async (t) => {
  const measure = async (c: { footprint: { predictedRamBytes: number } }) =>
    real(c.footprint.predictedRamBytes)
  await t.rejects(meetMemory(coupling, order, { memoryBytes: real(floor) - 1 }, [], measure), {
    code: 'BUDGET_UNREACHABLE',
    least: real(floor),
  })
})

t.test('other limits hold with it', async (t) => {
  const whole = after(coupling, [], 0).footprint
  const limits = { memoryBytes: 2 * real(dense), macs: whole.macs / 2 }
  const found = await meetMemory(coupling, order, limits, [], async (c) =>
    real(c.footprint.predictedRamBytes),
  )
  t.ok(found.footprint.macs <= whole.macs / 2)
})
