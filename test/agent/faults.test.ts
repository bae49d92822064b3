import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { topic } from '@espalier/shared/topics.js'
import t, { type Test } from 'tap'
import { patience } from '../support/patience.js'
import { described, type TestModel, testModel } from './support/models.js'
import { AgentProcess, runAgent, soon } from './support/process.js'
import { TestService } from './support/service.js'
import { locksCannotHold } from './support/start-times.js'

const good = testModel('good', 256, { top1: { value: 0.95, n: 10_000 } })
const best = testModel('best', 320, { top1: { value: 0.99, n: 10_000 } })

async function setUp(t: Test, models: TestModel[] = [good]) {
  const service = await TestService.start()
  const agent = new AgentProcess(service.credential())
  t.teardown(async () => {
    await agent.end('SIGKILL')
    await service.down()
  })
  if (models.length > 0) await service.offer(models)
  await service.desire()
  return { service, agent }
}

const runs = (model: TestModel) => (r: { active: { variant: string } | null; state: string }) =>
  r.active?.variant === model.variant.digest && r.state === 'active'
const says = (code: string) => (r: { error: { code: string } | null }) => r.error?.code === code
const currentBytes = (agent: AgentProcess) => readFileSync(join(agent.state, 'current', 'model.onnx'))
const served = (service: TestService, model: TestModel) =>
  [...service.served]
    .filter(([key]) => key.startsWith(model.variant.digest))
    .reduce((sum, [, n]) => sum + n, 0)

/** Waits until so many reports wait in the outbox. */
async function waiting(agent: AgentProcess, holds: (n: number) => boolean): Promise<void> {
  const end = Date.now() + 60_000 * patience
  for (;;) {
    const { outbox } = await agent.status()
    if (holds(outbox.waiting)) return
    if (Date.now() > end) throw new Error(`${outbox.waiting} reports wait`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

t.test('killed in mid-download, the agent finishes with at most one window served twice', async (t) => {
  const { service, agent } = await setUp(t)
  const blocks = good.variant.blocks.length
  let sent = 0
  service.paceMs = 2
  const half = new Promise<void>((resolve) => {
    service.bend = (_, payload) => {
      if (++sent === Math.floor(blocks / 2)) resolve()
      return payload
    }
  })
  agent.start()
  await half
  await agent.end('SIGKILL')
  const windows = service.messages
    .filter((m) => m.topic.endsWith('blocks/request'))
    .map((m) => JSON.parse(m.payload.toString()).window)
  t.ok(existsSync(join(agent.state, 'artifacts', `${good.variant.digest}.part`)))
  service.paceMs = 0
  agent.start()
  await service.until(runs(good))
  const twice = served(service, good) - blocks
  // What was under way is at most one window; a window is asked for in two halves.
  t.ok(twice <= 2 * Math.max(...windows), `${twice} blocks twice, windows up to ${Math.max(...windows)}`)
  t.ok(currentBytes(agent).equals(good.bytes))
})

t.test('a flipped byte in a block is refused and reported, and the block fetched again', async (t) => {
  const { service, agent } = await setUp(t)
  let bent = false
  service.bend = (index, payload) => {
    if (index !== 5 || bent) return payload
    bent = true
    payload[17] ^= 1
    return payload
  }
  agent.start()
  const reported = await service.until(says('BLOCK_INVALID'))
  t.match(reported.error?.message, /block 5/)
  await service.until(runs(good))
  t.ok(currentBytes(agent).equals(good.bytes))
})

t.test('a catalogue or desired that is damaged, foreign, misbound or old changes nothing', async (t) => {
  const { service, agent } = await setUp(t)
  agent.start()
  await service.until(runs(good))
  const other = await TestService.start()
  t.teardown(() => other.down())
  const flip = (at: (text: string) => number) => (bytes: Buffer) => {
    const i = at(bytes.toString('latin1'))
    bytes[i] = bytes[i] === 0x31 ? 0x32 : 0x31
    return bytes
  }
  const refusals: [what: string, code: string, send: () => Promise<unknown>][] = [
    [
      'a flipped byte in the catalogue',
      'SIGNATURE_INVALID',
      () => service.offer([best], { bend: flip((text) => text.indexOf('"sequence":') + 11) }),
    ],
    [
      'a flipped byte in its signature',
      'SIGNATURE_INVALID',
      () => service.offer([best], { bend: flip((text) => text.indexOf('"sig":"') + 20) }),
    ],
    ['a key nobody trusts', 'SIGNATURE_INVALID', () => service.offer([best], { key: other.keys.privateKey })],
    ['an older catalogue', 'DOCUMENT_REPLAYED', () => service.offer([best], { sequence: 1 })],
    ['an expired catalogue', 'DOCUMENT_EXPIRED', () => service.offer([best], { expiresAt: Date.now() - 1 })],
    ['no JSON', 'MESSAGE_INVALID', () => service.offer([best], { bend: (b) => b.subarray(0, b.length / 2) })],
    ['another device’s desired', 'DOCUMENT_MISBOUND', () => service.desire('dev-2', {}, { to: 'dev-1' })],
    ['an expired desired', 'DOCUMENT_EXPIRED', () => service.desire('dev-1', { expiresAt: Date.now() - 1 })],
  ]
  await service.offer([good], { sequence: 50 })
  for (const [what, code, send] of refusals) {
    await send()
    await service.until(says(code))
    t.equal(service.last?.active?.variant, good.variant.digest, `${what}: ${code}, and the device goes on`)
    service.sequence = 50
    await service.offer([good])
    service.sequence = 50
    await service.desire()
    await service.until((r) => r.error === null)
  }
  t.equal(served(service, best), 0)
})

t.test(
  'an artifact that declares ten gigabytes, or more blocks than bytes, takes neither disk nor memory',
  async (t) => {
    const { service, agent } = await setUp(t)
    agent.start()
    await service.until(runs(good))
    const giant = (name: string, bytes: number, blocks: number): TestModel => ({
      bytes: Buffer.alloc(0),
      variant: {
        ...good.variant,
        ...{ name, bytes, blockBytes: 128 * 1024, digest: 'ab'.repeat(32), top1: { value: 1, n: 10_000 } },
        blocks: Array(blocks).fill('cd'.repeat(32)),
      },
    })
    await service.offer([good, giant('giant', 10e9, 65_536)])
    const refused = await service.until(says('MESSAGE_INVALID'))
    t.match(refused.error?.message, /65536 block hashes do not make 10000000000 bytes/)
    t.equal(refused.active?.variant, good.variant.digest)
    await t.rejects(
      service.offer([giant('more', 10e9, Math.ceil(10e9 / (128 * 1024)))]),
      { code: 'MESSAGE_INVALID' },
      'a list of so many blocks is none at all',
    )
    const [, resident] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${agent.pid}/status`, 'utf8')) ?? []
    t.ok(Number(resident) * 1024 < 200e6, `${resident} kB`)
    t.notOk(existsSync(join(agent.state, 'artifacts', `${'ab'.repeat(32)}.part`)), 'no file was begun')
  },
)

t.test('what was accepted is remembered through a restart: a replayed desired is refused', async (t) => {
  const { service, agent } = await setUp(t)
  const old = await service.desire('dev-1', { revision: 4 })
  await service.desire('dev-1', { revision: 9 })
  agent.start()
  await service.until(runs(good))
  await agent.end()
  await service.send(topic('desired', { device: 'dev-1' }), old, true)
  agent.start()
  const refused = await service.until(says('DOCUMENT_REPLAYED'))
  t.equal(refused.revision, 9)
  t.equal(refused.active?.variant, good.variant.digest)
})

t.test('an artifact damaged on disk gives way to the previous one and is fetched again', async (t) => {
  const { service, agent } = await setUp(t)
  agent.start()
  await service.until(runs(good))
  await service.offer([good, best])
  await service.until(runs(best))
  t.equal((await service.until(runs(best))).previous?.variant, good.variant.digest)
  await agent.end()
  const path = join(agent.state, 'artifacts', best.variant.digest, 'model.onnx')
  const bytes = readFileSync(path)
  bytes[bytes.length >> 1] ^= 1
  writeFileSync(path, bytes)
  await service.presence(false)
  const before = served(service, best)
  agent.start()
  const fallen = await service.until(says('ARTIFACT_DAMAGED'))
  await service.until((r) => r.active?.variant === good.variant.digest)
  t.ok(currentBytes(agent).equals(good.bytes), 'applications have the previous one')
  t.equal(fallen.error?.code, 'ARTIFACT_DAMAGED')
  await service.presence(true)
  await service.until(runs(best))
  t.ok(currentBytes(agent).equals(best.bytes))
  // On a busy machine some are asked for once more.
  t.ok(served(service, best) - before >= best.variant.blocks.length, 'all of it')
  t.equal(
    service.stored.filter((r) => r.variant === best.variant.digest).length,
    1,
    'it was not measured again',
  )
})

t.test(
  'with the broker away and the service silent no report is lost, and none is stored twice',
  async (t) => {
    const { service, agent } = await setUp(t)
    service.acknowledges = false
    agent.start(['--memory', '100MB', '--every', '400ms'])
    await service.until(runs(good))
    await service.down()
    await waiting(agent, (n) => n >= 3)
    await service.up()
    await new Promise((resolve) => setTimeout(resolve, 500))
    service.acknowledges = true
    await waiting(agent, (n) => n <= 1)
    t.equal(await agent.end(), 0)
    t.ok(service.stored.length >= 3)
    const { outbox } = await agent.status()
    t.equal(outbox.dropped, 0)
    t.ok(
      service.reports.length > service.stored.length,
      'reports were sent again until they were acknowledged',
    )
  },
)

t.test(
  'a withdrawn active variant gives way to the next; when nothing is left it stays, and that is said',
  async (t) => {
    const { service, agent } = await setUp(t, [good, best])
    agent.start()
    await service.until(runs(best))
    await service.offer([good])
    await service.until(runs(good))
    await service.offer([])
    const left = await service.until(says('NO_VARIANT_FITS'))
    t.equal(left.active?.variant, good.variant.digest)
    t.ok(currentBytes(agent).equals(good.bytes))
  },
)

t.test('a variant over the budget when measured is rejected and the next is tried', async (t) => {
  const promised = testModel('promised', 1024, { top1: { value: 0.99, n: 10_000 }, measuredRamBytes: 1000 })
  const { service, agent } = await setUp(t, [promised, good])
  agent.start(['--memory', '3.5MB'])
  const rejected = await service.until((r) => r.state === 'rejected')
  t.match(rejected, {
    candidate: { variant: promised.variant.digest },
    error: { code: 'MEMORY_OVER_BUDGET' },
  })
  await service.until(runs(good))
  t.equal(service.stored.length, 2, 'both measurements are reported')
})

t.test(
  'a variant that the runtime cannot load is reported with a code, once, and the next is tried',
  async (t) => {
    const broken = described('broken', Buffer.alloc(9000, 7), { top1: { value: 0.99, n: 10_000 } })
    const { service, agent } = await setUp(t, [broken, good])
    agent.start()
    await service.until(says('MODEL_UNSUPPORTED'))
    await service.until((r) => r.active?.variant === good.variant.digest)
    t.equal(served(service, broken), broken.variant.blocks.length)
  },
)

t.test(
  'two agents on one state directory: the second is refused and told why',
  { skip: await locksCannotHold() },
  async (t) => {
    const { service, agent } = await setUp(t)
    agent.start()
    await service.until(runs(good))
    const second = new AgentProcess(service.credential('dev-2'), agent.state)
    second.start()
    t.equal(await second.ended(), 1)
    t.match(second.log, new RegExp(`STATE_LOCKED: .*process ${agent.pid}`))
    await agent.end('SIGKILL')
    agent.start()
    await service.until((r) => runs(good)(r))
    t.match(
      await runAgent('status', '--state', agent.state),
      { status: 0, stdout: /running/ },
      'a killed one frees it',
    )
  },
)

t.test('a broker that is not there yet is waited for', async (t) => {
  const { service, agent } = await setUp(t)
  await service.down()
  agent.start(undefined, { ...soon, reconnectMs: [10, 50] })
  while (!agent.log.includes('BROKER_UNREACHABLE')) await new Promise((resolve) => setTimeout(resolve, 20))
  await service.up()
  await service.until(runs(good))
  t.pass('and then used')
})
