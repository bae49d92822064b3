import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { patience } from '../../support/patience.js'
import { testModel } from '../support/models.js'
import { AgentProcess, runAgent } from '../support/process.js'
import { TestService } from '../support/service.js'

const top1 = (value: number) => ({ value, n: 10_000 })
const good = testModel('good', 32, { top1: top1(0.9) })
const best = testModel('best', 48, { top1: top1(0.99) })

t.test('the agent serves what is active, and tells the hook of it', async (t) => {
  const service = await TestService.start()
  const agent = new AgentProcess(service.credential())
  t.teardown(async () => {
    await agent.end('SIGKILL')
    await service.down()
  })
  const told = join(agent.folder, 'told')
  const hook = join(agent.folder, 'hook.sh')
  writeFileSync(
    hook,
    `#!/bin/sh\necho "$ESPALIER_MODEL $ESPALIER_VERSION $ESPALIER_VARIANT $ESPALIER_THREADS $ESPALIER_PROVIDER" $(wc -c < "$ESPALIER_CURRENT/model.onnx") >> ${told}\n` +
      `[ "$ESPALIER_VARIANT" = good ] || exit 3\n`,
  )
  chmodSync(hook, 0o755)
  await service.offer([good])
  await service.desire()
  const args = ['--memory', '100MB', '--serve', '0', '--hook', hook, '--threads', '2']
  agent.start(args)
  const runs = (digest: string) => service.until((r) => r.active?.variant === digest && r.state === 'active')
  await runs(good.variant.digest)
  const url = () => /inference at (\S+)/.exec(agent.log)?.[1]
  const inputs = async () => {
    if (!url()) return 'nothing said yet'
    const response = await fetch(`${url()}/models/digits`)
    return response.status === 200 ? (await response.json()).inputs[0].shape[1] : response.status
  }
  const becomes = async (wanted: number) => {
    for (let i = 0; (await inputs()) !== wanted; i++) {
      if (i > 500 * patience) throw new Error(`${await inputs()} is served, not ${wanted}`)
      await sleep(20)
    }
  }
  await becomes(32)
  await service.offer([good, best])
  await runs(best.variant.digest)
  await becomes(48)
  await service.until((r) => r.error?.code === 'HOOK_FAILED')
  t.match(service.last?.error?.message, /hook\.sh ended with 3/, 'what the hook did wrong is reported')
  t.equal(
    readFileSync(told, 'utf8'),
    `digits 1 good 2 cpu ${good.bytes.length}\ndigits 1 best 2 cpu ${best.bytes.length}\n`,
    'once each, with what it is about',
  )
  t.match(service.reports.at(-1), { threads: 2, providerRequested: 'cpu', provider: 'cpu' })
  const children = readFileSync(`/proc/${agent.pid}/task/${agent.pid}/children`, 'utf8').trim().split(' ')
  const commands = children.map((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0'))
  const serving = commands.find((command) => command.some((part) => part.endsWith('serve/child.js')))
  t.match(JSON.parse(serving?.at(-2) ?? 'null'), { threads: 2, provider: 'cpu' }, 'served as it was measured')
  t.equal(await agent.end(), 0)

  writeFileSync(hook, `#!/bin/sh\necho again >> ${told}\n`)
  agent.start(args)
  while (!readFileSync(told, 'utf8').endsWith('again\n')) await sleep(20)
  await agent.end()
  agent.log = ''
  agent.start(args)
  await becomes(48)
  t.equal(
    readFileSync(told, 'utf8').match(/again/g)?.length,
    1,
    'told anew what failed, once it did well no more',
  )
})

t.test('a port that is no port', async (t) => {
  const run = ['run', '--credential', 'c.json', '--state', t.testdir()]
  t.match(await runAgent(...run, '--serve', '70000'), { status: 2, stderr: /'70000' is not a port/ })
})
