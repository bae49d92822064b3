import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Agent } from '@espalier/agent/agent.js'
import t from 'tap'
import { testModel } from './support/models.js'
import { optionsOf } from './support/options.js'
import { TestService } from './support/service.js'

t.test('while nobody stores reports the oldest give way, and the service learns how many', async (t) => {
  const service = await TestService.start()
  service.acknowledges = false
  const options = optionsOf(mkdtempSync(join(tmpdir(), 'espalier-dropped-')), service.credential())
  const agent = new Agent({
    ...options,
    timings: { ...options.timings, everyMs: 100 },
    outbox: { maxReports: 2 },
  })
  t.teardown(async () => {
    await agent.stop()
    await service.down()
  })
  await service.offer([testModel('only', 40)])
  await service.desire()
  agent.start()
  const { state } = await service.until((r) => (r.droppedReports ?? 0) >= 2)
  t.ok(['active', 'benchmarking'].includes(state), 'while it goes on')
})
