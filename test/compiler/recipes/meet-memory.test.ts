import type { Footprint } from '@espalier/server/compiler/analysis/index.js'
import { type Allocation, allocate, floor, type Limits } from '@espalier/server/compiler/budget/index.js'
import { corrected, type MemorySearch, meetMemory } from '@espalier/server/compiler/recipes/meet-memory.js'
import { criteria } from '@espalier/server/compiler/saliency/index.js'
import { prunable } from '@espalier/server/compiler/surgery/index.js'
import t from 'tap'
import { convNetwork } from '../../support/networks.js'

const { coupling } = await prunable(convNetwork([64, 96], 10))
const scores = criteria.l1(coupling)
const whole = allocate(coupling, scores, {})
const dense = whole.footprint.predictedRamBytes
const least = floor(coupling).footprint.predictedRamBytes

/** A machine on which everything takes 30 % more than predicted, and 100 kB on top, in steps of 8 kB. */
const real = (predicted: number) => Math.ceil((1.3 * predicted + 1e5) / 8192) * 8192

const search = (budget: number, others: Limits = {}): MemorySearch & { tried: Allocation[] } => {
  const tried: Allocation[] = []
  return {
    budget,
    round: 4,
    points: [],
    tried,
    choose: (memoryBytes, memory, round) =>
      allocate(coupling, scores, { ...others, memoryBytes }, { round, expect: { memory }, orFloor: true }),
    measure: async (candidate) => {
      tried.push(candidate)
      return real(candidate.footprint.predictedRamBytes)
    },
  }
}

t.test('a corrected prediction passes through what was measured and is straight between', async (t) => {
  const ram = corrected([
    { predicted: 2e6, measured: 3e6 },
    { predicted: 1e6, measured: 1e6 },
  ])
  const of = (predictedRamBytes: number): Footprint => ({ ...whole.footprint, predictedRamBytes })
  t.same([1e6, 1.5e6, 2e6].map(of).map(ram), [1e6, 2e6, 3e6])
  t.same([0.5e6, 4e6].map(of).map(ram), [0.5e6, 6e6], "beyond, the nearest one's ratio")
  t.equal(corrected([])(whole.footprint), dense, 'nothing measured: as predicted')
})

t.test('whatever the machine, the budget holds by measurement and is used', async (t) => {
  for (const share of [0.75, 0.5, 0.25]) {
    const budget = real(least) + share * (real(dense) - real(least))
    const asked = search(budget)
    const found = await meetMemory(asked)
    if (!found) return t.fail('nothing was found')
    t.ok(found.measured <= budget, `${share}: ${found.measured} of ${budget}`)
    t.ok(found.measured >= 0.9 * budget, `${share}: ${found.measured} uses ${budget}`)
    t.equal(found.measured, real(found.footprint.predictedRamBytes))
    t.ok(asked.tried.length <= 7, `${asked.tried.length} candidates`)
  }
})

t.test('what is expected to be too large is measured before a tenth of the budget is left', async (t) => {
  const budget = real(dense)
  const small = (least + dense) / 2
  const asked = search(budget)
  const points = [
    { predicted: least, measured: real(least) },
    { predicted: dense, measured: 3 * budget },
  ]
  const found = await meetMemory({ ...asked, points })
  t.ok(found && found.measured >= 0.9 * budget, 'though memory was said to jump')
  const jump = {
    ...asked,
    measure: async (c: Allocation) => (c.footprint.predictedRamBytes > small ? 2 : 0.5) * budget,
  }
  const left = await meetMemory({ ...jump, points: [] })
  if (!left) return t.fail('nothing was found')
  t.ok(left.largest, 'no further unit fits, and it is said')
  const next = allocate(
    coupling,
    scores,
    { memoryBytes: small },
    { round: 1, expect: { memory: (f) => f.predictedRamBytes } },
  )
  t.ok(left.footprint.predictedRamBytes <= small)
  t.ok(left.footprint.predictedRamBytes >= 0.95 * next.footprint.predictedRamBytes, 'close to where it jumps')
})

t.test('where every candidate is measured above the budget nothing is found', async (t) => {
  t.equal(await meetMemory(search(real(least) - 1)), undefined)
  t.equal(
    (await meetMemory(search(real(least))))?.footprint.predictedRamBytes,
    least,
    'the floor itself needs no margin',
  )
})

t.test('what was measured above the budget before is not tried again', async (t) => {
  const budget = 0.5 * (real(least) + real(dense))
  const first = await meetMemory(search(budget))
  if (!first) return t.fail('nothing was found')
  const tooMany = first.footprint.predictedRamBytes
  const again = search(budget)
  const second = await meetMemory({ ...again, tooMany })
  t.ok(second && second.footprint.predictedRamBytes < tooMany)
  t.ok(again.tried.every((c) => c.footprint.predictedRamBytes < tooMany))
})

t.test('other limits hold with it', async (t) => {
  const asked = search(2 * real(dense), { macs: whole.costs.macs / 2 })
  const found = await meetMemory(asked)
  t.ok(found && found.costs.macs <= whole.costs.macs / 2)
  t.equal(found?.bound, 'macs')
  t.equal(asked.tried.length, 1)
})
