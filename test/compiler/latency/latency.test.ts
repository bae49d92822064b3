import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { allocate, floor, type LatencyModel } from '@espalier/server/compiler/budget/index.js'
import { latencyModel, operatorsOf, readTimes } from '@espalier/server/compiler/latency/index.js'
import { looked } from '@espalier/server/compiler/latency/operators.js'
import { profile } from '@espalier/server/compiler/recipes/index.js'
import { criteria } from '@espalier/server/compiler/saliency/index.js'
import { prunable } from '@espalier/server/compiler/surgery/index.js'
import type { OperatorTimes } from '@espalier/shared/measure/index.js'
import t from 'tap'
import { convNetwork } from '../../support/networks.js'

const graph = convNetwork([32, 48], 10)
const { coupling } = await prunable(graph)
const operators = operatorsOf(coupling, 4)

/** A machine that takes as long for whole blocks of 16 channels, and a millisecond for each million of them. */
const blocks = (dims: readonly (readonly number[])[]): number => {
  const [, [out = 1, into = 1] = []] = dims
  const map = dims[dims.length - 1].slice(2).reduce((n, d) => n * d, 1)
  return 1e-6 * Math.ceil(out / 16) * 16 * Math.ceil(into / 16) * 16 * map
}

const times: OperatorTimes = {
  espalierProfile: 1,
  machine: 'none',
  runtime: 'none',
  runtimeVersion: '0',
  threads: 1,
  queryMs: 0.01,
  scale: 1,
  operators: operators.map(({ op, kind, dims }) => ({
    op,
    kind,
    dims,
    ms: op === 'Conv' ? blocks(dims) : 0,
  })),
}
const latency = latencyModel(times, coupling)

t.test(
  'the operators of a network are looked at once each, in the sizes that pruning gives them',
  async (t) => {
    const convolutions = operators.filter((o) => o.op === 'Conv')
    t.equal(new Set(convolutions.map((o) => JSON.stringify([o.kind, o.dims]))).size, convolutions.length)
    const counts = new Set(convolutions.map((o) => o.dims[1][0]))
    for (const n of [32, 48, 1]) t.ok(counts.has(n), `${n} channels`)
    t.ok(
      convolutions.every((o) => o.dims[0][0] === 1),
      'of one sample',
    )
  },
)

t.test('a wide group is looked at with few counts, from all of its units to one', async (t) => {
  const [group] = coupling.groups
  const of = (n: number, levels: number) =>
    looked({ ...group, units: Array.from({ length: n }, () => group.units[0]) }, 4, levels)
  t.same(of(32, 13), [32, 28, 24, 20, 16, 12, 8, 4, 2, 1])
  t.same(of(64, 11), [64, 56, 48, 40, 32, 24, 16, 8, 4, 2, 1])
  for (const levels of [5, 7, 11, 13])
    for (const n of [100, 1024, 5000]) {
      const counts = of(n, levels)
      t.ok(counts.length <= levels && counts[0] === n && counts.at(-1) === 1, `${n}: ${counts}`)
    }
})

t.test('a network takes what its operators were measured to take, or their nearest relatives', async (t) => {
  const dense = allocate(coupling, criteria.l1(coupling), {}, { expect: { latency } }).costs.latency
  const sum = coupling.graph.nodes
    .filter((n) => n.op === 'Conv')
    .map((n) => blocks([...n.inputs, n.outputs[0]].map((name) => coupling.shapes.dims.get(name) ?? [])))
    .reduce((a, b) => a + b, times.queryMs)
  t.ok(Math.abs(dense - sum) < 1e-9, `${dense} of ${sum}`)
  const few = { ...times, operators: times.operators.filter((_, i) => i % 3 === 0) }
  const rough = allocate(
    coupling,
    criteria.l1(coupling),
    {},
    { expect: { latency: latencyModel(few, coupling) } },
  )
  t.ok(Math.abs(rough.costs.latency / sum - 1) < 0.5, `${rough.costs.latency} of ${sum}`)
})

t.test('counts that are no faster than the next larger one are left out', async (t) => {
  const latency: LatencyModel = {
    queryMs: times.queryMs,
    nodeMs: ({ op, inputs, outputs }, dims) =>
      op === 'Conv' ? blocks([...inputs, outputs[0]].map(dims)) : 0,
  }
  const scores = criteria.l1(coupling)
  const whole = allocate(coupling, scores, {}, { expect: { latency } }).costs.latency
  const least = floor(coupling, { latency }).costs.latency
  const limits = { latencyMs: least + 0.5 * (whole - least) }
  const found = allocate(coupling, scores, limits, { round: 4, expect: { latency } })
  t.ok(found.costs.latency <= limits.latencyMs)
  t.equal(found.bound, 'latency')
  for (const group of coupling.groups) {
    const kept = group.units.filter((u) => !found.removed.has(u)).length
    t.ok(kept === 1 || kept % 16 === 0, `${kept} channels`)
  }
})

t.test('measuring gives a table that can be read again, and predicts whole networks', async (t) => {
  const { times, checks } = await profile(convNetwork([8, 16], 3), { round: 8 })
  t.ok(times.operators.some((o) => o.op === 'Conv' && o.ms > 0))
  t.ok(times.queryMs > 0 && times.scale > 0)
  t.equal(checks.length, 3)
  for (const c of checks) t.ok(c.predictedMs > 0 && c.measuredMs > 0)
  const dir = t.testdir({ wrong: '{"espalierProfile":2}' })
  await writeFile(join(dir, 'table'), JSON.stringify(times))
  t.same(await readTimes(join(dir, 'table')), times)
  await t.rejects(readTimes(join(dir, 'wrong')), { code: 'MESSAGE_INVALID', message: /profile/ })
  await t.rejects(readTimes(join(dir, 'none')), { code: 'FILE_NOT_FOUND' })
})
