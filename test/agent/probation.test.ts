import { readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Activation } from '@espalier/agent/activation.js'
import { systemClock } from '@espalier/agent/clock.js'
import { benchmark } from '@espalier/agent/measure/benchmark.js'
import { Probation } from '@espalier/agent/probation.js'
import { knownOf } from '@espalier/agent/report.js'
import { Status } from '@espalier/agent/status.js'
import { Artifacts } from '@espalier/agent/store/artifacts.js'
import { profiles } from '@espalier/shared/measure/index.js'
import type { Reported } from '@espalier/shared/messages/index.js'
import t, { type Test } from 'tap'
import { withGolden } from './support/golden.js'
import { described, type TestModel, testModel } from './support/models.js'
import { AgentProcess } from './support/process.js'
import { TestService } from './support/service.js'

const child = new URL(import.meta.resolve('@espalier/agent/measure/child.js'))
const top1 = (value: number) => ({ value, n: 10_000 })

const [good, best] = await withGolden(
  [testModel('good', 64, { top1: top1(0.9) }), testModel('best', 96, { top1: top1(0.99) })],
  t.testdir(),
)

async function setUp(t: Test, models: TestModel[]) {
  const service = await TestService.start()
  const agent = new AgentProcess(service.credential())
  t.teardown(async () => {
    await agent.end('SIGKILL')
    await service.down()
  })
  await service.offer(models)
  await service.desire()
  agent.start()
  return { service, agent }
}

const runs = (model: TestModel) => (r: Reported) =>
  r.state === 'active' && r.active?.variant === model.variant.digest

t.test('golden outputs are what the network answers, and scale with it', async (t) => {
  const golden = good.variant.golden!
  t.match(golden, [{ name: 'y1', dims: [1, 64] }])
  t.equal(golden[0].values.length, 64)
  t.equal(golden[0].scale, Math.max(...golden[0].values.map(Math.abs)))
})

t.test('a variant that computes something else here is never active', async (t) => {
  const [output] = best.variant.golden!
  const wrong = output.values.map((v, i) => (i === 7 ? v + output.scale : v))
  const odd = described('odd', best.bytes, { ...best.variant, golden: [{ ...output, values: wrong }] })
  const { service, agent } = await setUp(t, [good, odd])
  const { error } = await service.until((r) => r.error?.code === 'OUTPUT_WRONG')
  t.match(error?.message, /output 'y1' is off by/)
  await service.until(runs(good))
  t.notOk(service.reported.some((r) => r.active?.variant === odd.variant.digest))
  await agent.end()
  await service.offer([good, best])
  agent.start()
  await sleep(500)
  t.ok(runs(good)(service.last!), 'not tried again with the same bytes')
})

t.test('a variant that proves itself goes through probation', async (t) => {
  const { service } = await setUp(t, [best])
  await service.until(runs(best))
  const states = service.reported.map((r) => r.state)
  t.ok(states.indexOf('armed') < states.indexOf('probation'))
  t.ok(states.indexOf('probation') < states.lastIndexOf('active'))
})

t.test('killed in probation again and again, the agent goes back to what ran before', async (t) => {
  const { service, agent } = await setUp(t, [good])
  await service.until(runs(good))
  await service.offer([good, best])
  const onProbation = (r: Reported) => r.state === 'probation' && r.candidate?.variant === best.variant.digest
  for (let start = 0; start < 3; start++) {
    await service.until(onProbation)
    await agent.end('SIGKILL')
    t.equal(
      readFileSync(join(agent.state, 'current', 'model.onnx')).length,
      best.bytes.length,
      'what is on probation is what applications use',
    )
    service.reported.length = 0
    agent.start()
  }
  const { error } = await service.until(runs(good))
  t.match(error, { code: 'DEADLINE_PASSED', message: /again and again/ })
  t.ok(readFileSync(join(agent.state, 'current', 'model.onnx')).equals(good.bytes))
  await sleep(300)
  t.ok(runs(good)(service.last!), 'and stays there')
})

t.test('what fails where applications find it gives way to what was before', async (t) => {
  const root = t.testdir()
  const artifacts = new Artifacts(root)
  artifacts.prepare()
  const candidateOf = ({ variant }: TestModel) => ({
    variant,
    held: { model: 'digits', version: 1, variant: variant.digest },
  })
  const install = ({ bytes, variant }: TestModel) => {
    writeFileSync(artifacts.partialPath(variant.digest), bytes)
    const { digest, name, inputs, outputs, preprocess, labels } = variant
    const about = { bytes: bytes.length, inputs, outputs, preprocess, labels }
    artifacts.install({ ...about, digest, variant: name, model: 'digits', version: 1 })
  }
  install(good)
  install(best)
  const told: (string | null)[] = []
  const probation = new Probation(root)
  const status = new Status({
    clock: systemClock,
    held: () => ({ revision: 1, active: null, previous: null }),
    onChange: () => {},
  })
  const profile = { ...profiles.brief, queries: 8 }
  const hostLock = join(tmpdir(), `espalier-test-${process.pid}.lock`)
  const settings = {
    child,
    profile,
    setups: [{}],
    processes: 1,
    hostLock,
    root: '/',
    clock: systemClock,
    log: () => {},
  }
  const activation = new Activation({
    artifacts,
    probation,
    status,
    probe: (path, variant, signal) => benchmark(path, knownOf(variant), settings, signal),
    onCurrent: (digest) => told.push(digest),
  })
  const limits = { memoryBytes: 100_000_000, p95Ms: null, top1: null }
  const { signal } = new AbortController()
  activation.activate(candidateOf(good))
  t.equal(activation.unproven, good.variant.digest)
  t.same(await activation.prove(candidateOf(good), limits, signal), { proved: true })
  t.equal(activation.unproven, null)

  // The disk gives other bytes back than were benchmarked.
  writeFileSync(artifacts.modelPath(best.variant.digest), testModel('other', 96, {}, 2).bytes)
  activation.activate(candidateOf(best))
  t.match(await activation.prove(candidateOf(best), limits, signal), {
    proved: false,
    failure: { code: 'OUTPUT_WRONG' },
  })
  t.equal(status.state, 'rolled-back')
  t.equal(activation.active, good.variant.digest)
  t.same(
    told,
    [good, best, good].map(({ variant }) => variant.digest),
  )

  const tight = { ...limits, memoryBytes: 1 }
  status.to('armed', null)
  t.match(await activation.prove(candidateOf(good), tight, signal), {
    proved: false,
    failure: { code: 'MEMORY_OVER_BUDGET' },
  })
  t.equal(activation.active, null, 'nothing was before it')
})
