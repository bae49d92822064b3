import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parse, wish } from '@espalier/shared/messages/index.js'
import t from 'tap'
import { testModel } from './support/models.js'
import { AgentProcess } from './support/process.js'
import { TestService } from './support/service.js'

t.test('an agent fetches, measures, chooses and reports the most accurate variant that fits', async (t) => {
  const service = await TestService.start()
  const agent = new AgentProcess(service.credential())
  t.teardown(async () => {
    await agent.end()
    await service.down()
  })
  const best = testModel('best', 512, { top1: { value: 0.99, n: 10_000 }, measuredRamBytes: 200e6 })
  const good = testModel('good', 256, { top1: { value: 0.95, n: 10_000 } })
  const poor = testModel('poor', 64, { top1: { value: 0.9, n: 10_000 } })
  await service.offer([poor, best, good])
  await service.desire()
  agent.start(['--memory', '100MB'])
  const active = await service.until((r) => r.active !== null)
  t.equal(active.active?.variant, good.variant.digest, 'the best does not fit by prediction, the good does')
  t.same(readFileSync(join(agent.state, 'current', 'model.onnx')), good.bytes)
  const manifest = JSON.parse(readFileSync(join(agent.state, 'current', 'manifest.json'), 'utf8'))
  t.match(manifest, { digest: good.variant.digest, model: 'digits', version: 1, variant: 'good' })
  t.equal(
    [...service.served.keys()].filter((k) => k.startsWith(poor.variant.digest)).length,
    0,
    'one download',
  )
  t.equal(service.stored.length, 1)
  t.match(service.reports[0], { device: 'dev-1', variant: good.variant.digest, top1: 0.95, runs: 130 })
  t.ok(service.reports[0].p95Ms !== null)
  t.equal(await agent.end(), 0, 'exits 0 on SIGTERM')
  t.equal((await agent.status()).outbox.waiting, 0)
})

t.test('other limits bring another choice, by what was measured before', async (t) => {
  const service = await TestService.start()
  const agent = new AgentProcess(service.credential())
  t.teardown(async () => {
    await agent.end('SIGKILL')
    await service.down()
  })
  const large = testModel('large', 800, { top1: { value: 0.99, n: 10_000 } })
  const small = testModel('small', 64, { top1: { value: 0.9, n: 10_000 } })
  await service.offer([large, small])
  await service.desire()
  agent.start(['--memory', '30MB'])
  await service.until((r) => r.active?.variant === large.variant.digest && r.state === 'active')
  await agent.end()
  agent.start(['--memory', '4MB'])
  const changed = await service.until(
    (r) => r.active?.variant === small.variant.digest && r.state === 'active',
  )
  t.equal(changed.previous?.variant, large.variant.digest)
  t.equal(service.stored.filter((r) => r.variant === large.variant.digest).length, 1, 'not measured again')
  const { incumbent } = service.reports.find((r) => r.variant === small.variant.digest)!
  t.match(incumbent, { variant: large.variant.digest, interleaved: true })
  t.ok(incumbent!.p50Ms > 0)
  const before = service.served.size

  await service.desire('dev-1', { objective: { maximise: 'accuracy', p95Ms: 1e-6 } })
  const left = await service.until((r) => r.error?.code === 'NO_VARIANT_FITS')
  t.match(left.error?.message, /95th percentile, the limit is 0.000001 ms|expected|measured/)
  t.equal(left.active?.variant, small.variant.digest, 'it keeps what it has')
  t.equal(service.served.size, before, 'and fetches nothing')
  const wishes = () =>
    service.messages.filter((m) => m.topic.endsWith('/wish')).map((m) => parse(wish, m.payload).wish)
  while (!wishes().at(-1)) await sleep(20)
  t.match(wishes().at(-1), {
    ...{ model: 'digits', version: 1, maximise: 'accuracy', memoryBytes: 4e6, p95Ms: 1e-6, top1: null },
    nearest: { name: 'small', measured: true, top1: 0.9 },
  })
  await agent.end()

  agent.start(['--memory', '30MB'])
  await service.desire('dev-1', { withdrawn: [small.variant.digest] })
  await service.until((r) => r.active?.variant === large.variant.digest && r.state === 'active')
  t.equal(service.served.size, before, 'the previous one was still here')
  while (wishes().at(-1)) await sleep(20)
  t.equal(wishes().at(-1), null, 'and nothing is wished for')
})

t.test(
  'told to be fast above a floor, an agent fetches the promising and its neighbour, no more',
  async (t) => {
    const service = await TestService.start()
    const agent = new AgentProcess(service.credential())
    t.teardown(async () => {
      await agent.end('SIGKILL')
      await service.down()
    })
    const of = (name: string, width: number, value: number) =>
      testModel(name, width, { top1: { value, n: 10_000 }, macs: width * width })
    const [poor, fast, slow, slower] = [
      of('poor', 32, 0.7),
      of('fast', 64, 0.9),
      of('slow', 1200, 0.95),
      of('slower', 1400, 0.99),
    ]
    await service.offer([slower, slow, fast, poor])
    await service.desire('dev-1', { objective: { maximise: 'speed', top1: 0.8 } })
    agent.start(['--memory', '100MB'])
    await service.until((r) => r.active?.variant === fast.variant.digest && r.state === 'active')
    const fetched = new Set([...service.served.keys()].map((key) => key.split('/')[0]))
    t.same(fetched, new Set([fast.variant.digest, slow.variant.digest]))
  },
)
