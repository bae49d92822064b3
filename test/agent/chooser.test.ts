import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Chooser } from '@espalier/agent/chooser.js'
import { systemClock } from '@espalier/agent/clock.js'
import type { Benchmark } from '@espalier/agent/measure/benchmark.js'
import { Outcomes } from '@espalier/agent/store/outcomes.js'
import type { Desired, Goal } from '@espalier/shared/messages/index.js'
import t from 'tap'
import { testModel } from './support/models.js'

const minute = 60_000
const better = testModel('better', 24, { top1: { value: 0.95, n: 10_000 }, macs: 2000 }).variant
const worse = testModel('worse', 16, { top1: { value: 0.9, n: 10_000 }, macs: 1000 }).variant

/** A chooser between the two, on a device that is told to keep 5 ms, at a time that the test sets. */
function chooser(objective: Partial<Desired['objective']> = {}, goal: Goal = 'accuracy') {
  const time = { now: 0 }
  const desired: Desired = {
    type: 'desired',
    device: 'd',
    revision: 1,
    issuedAt: 0,
    expiresAt: 1,
    model: 'digits',
    version: 1,
    catalogueSequence: 1,
    objective: { maximise: 'accuracy', p95Ms: 5, ...objective },
  }
  const catalogue = {
    ...{ type: 'catalogue' as const, model: 'digits', version: 1, sequence: 1, issuedAt: 0, expiresAt: 1 },
    variants: [better, worse],
  }
  const it = new Chooser({
    documents: { desired, catalogue },
    outcomes: new Outcomes(
      join(mkdtempSync(join(tmpdir(), 'espalier-chooser-')), 'outcomes.json'),
      'runtime',
    ),
    clock: { ...systemClock, now: () => time.now },
    limits: { memoryBytes: 1e9, p95Ms: null, top1: null },
    goal,
    restMs: [minute, 10 * minute],
  })
  const says = (active: string | null = null) => {
    const choice = it.choose(active, [])
    return choice && choice.kind !== 'none' ? `${choice.kind} ${choice.variant.name}` : choice?.kind
  }
  return { it, time, says }
}

const took = (
  p95Ms: number,
  { temperatureC = null as number | null, throttled = false } = {},
): Benchmark => ({
  ...{ measuredRamBytes: 1e6, medianRamBytes: 1e6, spreadRamBytes: 0, processes: 1 },
  setup: { threads: 1, provider: 'cpu' },
  ...{ processBytes: 2e6, runtimeBaseBytes: 1e6, runtime: 'r', runtimeVersion: '1' },
  ...{ coldLoadMs: 1, firstRunMs: 1, inputs: [], runs: 130, warmUps: 10, drift: 1, steady: true },
  ...{
    p50Ms: p95Ms / 2,
    p90Ms: p95Ms,
    p95Ms,
    p99Ms: null,
    governor: null,
    frequencyMhz: null,
    powerW: null,
    temperatureC,
    throttled,
  },
})

t.test('what runs gives way when it breaks a limit twice in a row, not once', async (t) => {
  const { it, says } = chooser()
  it.measured(better.digest, took(4))
  t.equal(says(better.digest), 'use better')
  t.equal(it.measuredAgain(better.digest, took(6)), 'broken')
  t.equal(says(better.digest), 'use better')
  t.equal(it.measuredAgain(better.digest, took(4)), 'as before')
  t.equal(it.measuredAgain(better.digest, took(6)), 'broken', 'counted anew')
  t.equal(it.measuredAgain(better.digest, took(6)), 'changed')
  t.equal(says(better.digest), 'try worse')
})

t.test(
  'it is measured again after a rest, on a cooler machine, and comes back only by a margin',
  async (t) => {
    const { it, time, says } = chooser()
    it.measured(better.digest, took(4))
    it.measured(worse.digest, took(1))
    for (let i = 0; i < 2; i++) it.measuredAgain(better.digest, took(6, { temperatureC: 80 }))
    t.equal(says(worse.digest), 'use worse')
    const again = (temperatureC: number, throttled = false) =>
      it.measuredAgain(worse.digest, took(1, { temperatureC, throttled }))
    t.equal(again(60), 'as before', 'it rests')
    time.now = 2 * minute
    t.equal(again(78), 'as before', 'the machine is as hot as it was')
    t.equal(again(60, true), 'as before', 'the machine is slowed down')
    t.equal(again(60), 'changed')
    t.equal(says(worse.digest), 'try better')
    it.measured(better.digest, took(4.9, { temperatureC: 60 }))
    t.equal(says(worse.digest), 'use worse', 'within the limit, but not by a margin')
    time.now = 3 * minute
    t.equal(again(40), 'as before', 'it rests for longer')
    time.now = 5 * minute
    t.equal(again(40), 'changed')
    it.measured(better.digest, took(4))
    t.equal(says(worse.digest), 'use better')
  },
)

t.test(
  'what nothing else can replace stays, and is well again once it keeps the limit by a margin',
  async (t) => {
    const { it, says } = chooser()
    it.measured(better.digest, took(4))
    it.measured(worse.digest, took(7))
    for (let i = 0; i < 2; i++) it.measuredAgain(better.digest, took(6))
    t.equal(says(better.digest), 'none')
    t.match(it.wish(7), {
      ...{ memoryBytes: 1e9, p95Ms: 5, top1: null, since: 7 },
      nearest: { name: 'better', measured: true, p95Ms: 6 },
    })
    t.equal(it.measuredAgain(better.digest, took(4.9)), 'as before')
    t.equal(it.measuredAgain(better.digest, took(4)), 'changed')
    t.equal(says(better.digest), 'use better')
  },
)

t.test('the tighter floor holds, and the assignment’s goal unless it is accuracy', async (t) => {
  t.equal(chooser({}, 'speed').says(), 'try worse')
  t.equal(chooser({ maximise: 'smallness' }, 'speed').says(), 'try worse')
  t.equal(chooser({ maximise: 'speed', top1: 0.93 }).says(), 'try better')
  t.equal(chooser({ maximise: 'speed', top1: 0.97 }).says(), 'none')
  t.match(chooser({ top1: 0.97 }).it.wish(0), { top1: 0.97, nearest: { name: 'better', measured: false } })
})

t.test('of two that were measured in one run, that run says which is faster', async (t) => {
  const beside = ({ digest }: { digest: string }, p50Ms: number) => ({
    incumbent: { variant: digest, p50Ms, p95Ms: null, interleaved: true },
  })
  const hot = chooser({ maximise: 'speed' })
  hot.it.measured(worse.digest, took(4)) // cool: 2 ms in the middle
  hot.it.measured(better.digest, { ...took(4.4), ...beside(worse, 3) }) // hot by now: 2.2 ms beside 3
  t.equal(hot.says(worse.digest), 'use better', 'three quarters of what runs, in the same heat')
  t.equal(hot.says(better.digest), 'use better', 'and it stays, by the same run')

  const cooled = chooser({ maximise: 'speed' })
  cooled.it.measured(worse.digest, took(4.4))
  cooled.it.measured(better.digest, { ...took(3.8), ...beside(worse, 2) })
  t.equal(cooled.says(worse.digest), 'use worse', 'only the machine had become faster')
})
