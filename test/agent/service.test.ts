import { execFile } from 'node:child_process'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { patience } from '../support/patience.js'
import { networkBytes, type TestModel, testModel } from './support/models.js'
import { AgentProcess } from './support/process.js'
import { fill, ServiceProcess } from './support/service-process.js'

const top1 = (value: number) => ({ value, n: 10_000 })
const large = testModel('large', 1600, { top1: top1(0.99), measuredRamBytes: 20_600_000 })
const middle = testModel('middle', 800, { top1: top1(0.96), measuredRamBytes: 5_300_000 })
const small = testModel('small', 256, { top1: top1(0.9), measuredRamBytes: 700_000 })

async function setUp(t: Test): Promise<ServiceProcess> {
  const data = t.testdir()
  await fill(data, networkBytes(64), [small, large, middle])
  const service = new ServiceProcess(data)
  t.teardown(() => service.end())
  await service.start()
  return service
}

async function until<T>(what: string, look: () => Promise<T | false | null | undefined>): Promise<T> {
  const end = Date.now() + 90_000 * patience
  for (;;) {
    const found = await look()
    if (found) return found
    if (Date.now() > end) throw new Error(`never happened: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

const runs = (service: ServiceProcess, id: string, model: TestModel) =>
  until(`${id} runs ${model.variant.name}`, async () => {
    const { body } = await service.call('GET', `/devices/${id}`)
    const active = body.active as { variant: string } | null
    return active?.variant === model.variant.digest
  })

t.test('three agents with three budgets, the real service, its broker and its kills', async (t) => {
  const service = await setUp(t)
  const plans: [id: string, memory: string, fits: TestModel][] = [
    ['roomy', '30MB', large],
    ['fair', '8MB', middle],
    ['tight', '4.5MB', small],
  ]
  const agents: AgentProcess[] = []
  for (const [id, memory] of plans) {
    const agent = new AgentProcess(await service.device(id))
    t.teardown(() => agent.end('SIGKILL'))
    agents.push(agent)
    agent.start(['--memory', memory, '--every', id === 'tight' ? '300ms' : '0'])
  }

  await t.test('each chooses what fits it best', async (t) => {
    for (const [i, [id, , fits]] of plans.entries()) {
      await runs(service, id, fits)
      t.ok(readFileSync(join(agents[i].state, 'current', 'model.onnx')).equals(fits.bytes), id)
    }
  })

  await t.test('a second live agent with the same id is refused, and a command is obeyed', async (t) => {
    const second = new AgentProcess(JSON.parse(readFileSync(agents[0].credentialFile, 'utf8')))
    t.teardown(() => second.end('SIGKILL'))
    second.start()
    await until('it is told', async () => second.log.includes('DEVICE_CONNECTED'))
    const before = agents[1].reportIds().length
    const { status } = await service.call('POST', '/devices/fair/commands', { action: 'select' })
    t.equal(status, 202)
    await until('it measures anew', async () => agents[1].reportIds().length > before)
    await runs(service, 'fair', middle)
  })

  await t.test('a device sends its log when it is asked for it', async (t) => {
    const logs = async (...more: string[]) => {
      const args = ['server/dist/cli/main.js', 'devices', 'logs', 'fair', '--server', service.url, ...more]
      return (await promisify(execFile)(process.execPath, args)).stdout
    }
    await t.rejects(logs('--last'), { message: /fair has sent no log yet/ })
    const sent = await logs()
    t.match(sent, /^\d{4}-\d\d-\d\dT.* connected to mqtt:/m)
    t.ok(agents[1].log.includes(sent.trimEnd()), 'the newest lines of what it wrote')
    t.equal(JSON.parse(await logs('--last', '--json')).text, sent)
  })

  await t.test(
    'with the service killed twice, and its broker with it, every report is stored once',
    async (t) => {
      for (let kill = 1; kill <= 2; kill++) {
        await service.end('SIGKILL')
        await until('reports wait', async () => (await agents[2].status()).outbox.waiting >= 2)
        await service.start()
        await until('the outbox empties', async () => (await agents[2].status()).outbox.waiting <= 1)
      }
      for (const agent of agents) t.equal(await agent.end(), 0)
      const stored = await service.reportIds()
      t.equal(new Set(stored).size, stored.length, 'none twice')
      for (const agent of agents) {
        const { outbox } = await agent.status()
        t.equal(outbox.dropped, 0)
        const missing = agent.reportIds().filter((id) => !stored.includes(id))
        t.equal(
          missing.length,
          outbox.waiting,
          'what is not stored waits on the device, and nothing else does',
        )
      }
      t.ok(stored.length >= 8, `${stored.length} reports`)
    },
  )

  await t.test('with the best withdrawn the next is chosen', async (t) => {
    agents[0].start(['--memory', '30MB'])
    const { body } = await service.call('GET', '/variants?limit=100')
    const best = body.items.find((v) => v.digest === large.variant.digest)
    const { status } = await service.call('POST', `/variants/${best?.id}/withdraw`)
    t.equal(status, 200)
    await runs(service, 'roomy', middle)
  })
})

t.test(
  'killed in mid-download, and with a byte flipped on disk, an agent ends with the right bytes',
  async (t) => {
    const service = await setUp(t)
    const agent = new AgentProcess(await service.device('dev-1'))
    t.teardown(() => agent.end('SIGKILL'))
    agent.start(['--memory', '30MB'])
    const part = join(agent.state, 'artifacts', `${large.variant.digest}.part`)
    const here = (bytes: number) => existsSync(`${part}.map`) && countOnes(`${part}.map`) >= bytes
    await until('some blocks are here', async () => here(3) || existsSync(join(agent.state, 'current')))
    await agent.end('SIGKILL')
    agent.start(['--memory', '30MB'])
    await runs(service, 'dev-1', large)
    await agent.end()
    const path = join(agent.state, 'artifacts', large.variant.digest, 'model.onnx')
    const bytes = readFileSync(path)
    bytes[statSync(path).size >> 1] ^= 1
    writeFileSync(path, bytes)
    agent.start(['--memory', '30MB'])
    await until('the damage is told', async () => agent.log.includes('ARTIFACT_DAMAGED'))
    await until('it is whole again', async () => existsSync(path) && readFileSync(path).equals(large.bytes))
    await runs(service, 'dev-1', large)
    t.pass('and it is active')
  },
)

const countOnes = (path: string) => readFileSync(path).reduce((sum, byte) => sum + byte, 0)
