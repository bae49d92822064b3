import { footprintOf } from '@espalier/server/compiler/analysis/index.js'
import { problemOf } from '@espalier/server/compiler/budget/allocate.js'
import {
  allocate,
  type Costs,
  costsWithout,
  floor,
  type LatencyModel,
  type Limits,
  ladder,
} from '@espalier/server/compiler/budget/index.js'
import { lostAt, removedAt } from '@espalier/server/compiler/budget/ranking.js'
import { criteria } from '@espalier/server/compiler/saliency/index.js'
import { prunable, pruned, verifyShapes } from '@espalier/server/compiler/surgery/index.js'
import t from 'tap'
import { leastLost } from '../../support/exact.js'
import { convNetwork } from '../../support/networks.js'
import { Net } from '../../zoo/index.js'

const subject = await prunable(convNetwork([32, 48], 10))
const { coupling } = subject
const scores = criteria.l1(coupling)
const whole = allocate(coupling, scores, {}).costs
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

t.test('every limit holds in the network that is made, and nothing more would fit', async (t) => {
  const asked: Limits[] = [
    { macs: whole.macs / 2 },
    { params: whole.params / 3 },
    { memoryBytes: whole.memory - 4e4 },
    { artifactBytes: whole.artifact / 2 },
    { macs: whole.macs * 0.7, params: whole.params * 0.2, memoryBytes: whole.memory - 4e4 },
  ]
  for (const limits of asked) {
    const found = allocate(coupling, scores, limits)
    const graph = pruned(subject, found.removed)
    const real = await verifyShapes(subject, found.removed, graph)
    t.same(footprintOf(graph, real.dims, real), found.footprint, 'costs are predicted exactly')
    const holds = ({ memory, artifact, macs, params }: Costs) =>
      memory <= (limits.memoryBytes ?? memory) &&
      artifact <= (limits.artifactBytes ?? artifact) &&
      macs <= (limits.macs ?? macs) &&
      params <= (limits.params ?? params)
    t.ok(holds(found.costs), JSON.stringify(limits))
    t.ok(count(found.removed).every((n) => n % 8 === 0))
    t.ok(found.saliency > 0 && found.saliency < 1)
    const { ranked } = problemOf(coupling, scores, limits)
    const at = ranked.map(({ rungs }, g) => rungs.indexOf(count(found.removed)[g]))
    for (const [g, rung] of at.entries()) {
      const larger = removedAt(
        ranked,
        at.map((r, h) => (h === g ? r - 1 : r)),
      )
      if (rung > 0)
        t.notOk(holds(costsWithout(coupling, larger).costs), `group ${g} is as large as it can be`)
    }
  }
})

t.test('the result says which limit bound', async (t) => {
  const bound = (limits: Limits) => allocate(coupling, scores, limits).bound
  t.equal(bound({ macs: whole.macs * 0.3, params: whole.params * 0.99 }), 'macs')
  t.equal(bound({ macs: whole.macs * 0.99, params: whole.params * 0.3 }), 'params')
  t.equal(bound({ memoryBytes: whole.memory - 4e4, artifactBytes: whole.artifact }), 'memory')
  t.equal(bound({ memoryBytes: 2 * whole.memory }), null)
  t.equal(allocate(coupling, scores, {}).removed.size, 0)
})

t.test('scores that compare across groups move what goes to the group that is worth less', async (t) => {
  const kept = (weights: readonly number[]) => {
    const scaled = scores.map((s, g) => s.map((v) => v * (weights[g] ?? 1)))
    return count(allocate(coupling, scaled, { macs: whole.macs / 2 }, { round: 1 }).removed)
  }
  const [first, second] = [kept([9, 0.5]), kept([0.5, 9])]
  t.ok(first[0] > second[0] && first[1] < second[1], `${first} and ${second}`)
})

t.test('within a group the units of least saliency go first, and both groups give', async (t) => {
  const { removed } = allocate(coupling, scores, { macs: whole.macs / 3 }, { round: 1 })
  coupling.groups.forEach((group, g) => {
    const gone = group.units.flatMap((u, i) => (removed.has(u) ? [scores[g][i]] : []))
    const kept = group.units.flatMap((u, i) => (removed.has(u) ? [] : [scores[g][i]]))
    t.ok(gone.length > 0 && kept.length > 0)
    t.ok(Math.max(...gone) <= Math.min(...kept))
  })
})

t.test('at the floor one unit of each group is left; below it an error says the least', async (t) => {
  const least = floor(coupling)
  t.same(
    count(least.removed),
    coupling.groups.map(() => 1),
  )
  t.same(allocate(coupling, scores, { macs: least.costs.macs }).costs, least.costs)
  t.throws(() => allocate(coupling, scores, { macs: least.costs.macs - 1 }), {
    code: 'BUDGET_UNREACHABLE',
    resource: 'macs',
    least: least.costs.macs,
  })
  t.throws(() => allocate(coupling, scores, { memoryBytes: 1000, macs: whole.macs }), {
    code: 'BUDGET_UNREACHABLE',
    resource: 'memory',
    message: /inspect/,
  })
})

/** Its peak is early: few channels on a large map, then many on small ones, and a skip from the first to the last. */
function earlyPeak() {
  const n = new Net('early peak')
  const relu = (x: string) => n.op('Relu', [x])
  const first = relu(n.conv(n.input('x', ['n', 3, 24, 24]), 3, 16))
  const second = relu(n.conv(first, 16, 32, { stride: 2 }))
  const third = relu(n.conv(second, 32, 48, { stride: 2 }))
  const up = n.op('ConvTranspose', [third, n.weight([48, 16, 4, 4]), n.weight([16])], { strides: [4, 4] })
  return n.build(n.conv(n.op('Concat', [first, up], { axis: 1 }), 32, 2))
}

/** A machine that computes whole blocks of eight channels. */
const blocks: LatencyModel = {
  queryMs: 0.05,
  nodeMs: ({ op, inputs, outputs }, dims) => {
    if (op !== 'Conv' && op !== 'Gemm') return 0
    const block = (c: number) => Math.ceil(c / 8) * 8
    const [, out, ...map] = dims(outputs[0])
    const [, into] = dims(inputs[1])
    return map.reduce((size, d) => size * d, 1e-6 * block(out) * block(into))
  },
}

for (const [name, graph, criterion] of [
  ['two convolutions', convNetwork([32, 48], 10), criteria.l1],
  ['an early peak', earlyPeak(), criteria.random],
] as const)
  t.test(`${name}: the choice keeps nearly what the exact optimum keeps`, async (t) => {
    const { coupling } = await prunable(graph)
    const memory = { weight: 2, peak: 3.5 }
    const expect = {
      memory: ({ weightBytes, peakActivationBytes }: { weightBytes: number; peakActivationBytes: number }) =>
        memory.weight * weightBytes + memory.peak * peakActivationBytes,
      latency: blocks,
    }
    const scores = criterion(coupling, { seed: 5 })
    const { costs } = allocate(coupling, scores, {}, { expect })
    const least = floor(coupling, expect).costs
    const at = (r: keyof Costs, share: number) => least[r] + share * (costs[r] - least[r])
    const cases: Limits[] = [
      { memoryBytes: at('memory', 0.5) },
      { macs: at('macs', 0.5) },
      { latencyMs: at('latency', 0.5) },
      { memoryBytes: at('memory', 0.6), macs: at('macs', 0.45), latencyMs: at('latency', 0.5) },
      { memoryBytes: at('memory', 0.7), artifactBytes: at('artifact', 0.3), params: at('params', 0.35) },
    ]
    for (const limits of cases) {
      const found = allocate(coupling, scores, limits, { expect })
      const { ranked, asked } = problemOf(coupling, scores, limits, { expect })
      for (const [resource, limit] of asked) t.ok(found.costs[resource] <= limit, resource)
      const all = lostAt(
        ranked,
        ranked.map(({ rungs }) => rungs.length - 1),
      )
      const optimum = 1 - (await leastLost(coupling, ranked, asked, memory, expect)) / all
      t.ok(
        found.saliency >= 0.98 * optimum && found.saliency <= optimum + 1e-6,
        `${asked.map(([r]) => r)}: ${found.saliency.toFixed(4)} of ${optimum.toFixed(4)}`,
      )
    }
  })
