import { readFileSync } from 'node:fs'
import { join } from 'node:path'
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
  t.equal(service.reports.length, 1)
  t.match(service.reports[0], { device: 'dev-1', variant: good.variant.digest, top1: 0.95, runs: 130 })
  t.ok(service.reports[0].p95Ms !== null)
  t.equal(await agent.end(), 0, 'exits 0 on SIGTERM')
  t.equal((await agent.status()).outbox.waiting, 0)
})
