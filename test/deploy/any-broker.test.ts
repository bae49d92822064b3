import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { deviceSubscribes, parseTopic, topicFilter } from '@espalier/shared/topics.js'
import mqtt from 'mqtt'
import t, { type Test } from 'tap'
import { networkBytes, testModel } from '../agent/support/models.js'
import { AgentProcess } from '../agent/support/process.js'
import { fill, ServiceProcess } from '../agent/support/service-process.js'
import { startMosquitto, withoutMosquitto } from './support/mosquitto.js'
import { startNats, withoutNats } from './support/nats.js'

const top1 = (value: number) => ({ value, n: 10_000 })
const large = testModel('large', 800, { top1: top1(0.99), measuredRamBytes: 5_300_000 })
const small = testModel('small', 256, { top1: top1(0.9), measuredRamBytes: 700_000 })
const plans = [
  ['roomy', '9MB', large],
  ['fair', '8MB', large],
  ['tight', '1.5MB', small],
] as const

async function until(what: string, look: () => Promise<unknown>): Promise<void> {
  for (const end = Date.now() + 90_000; Date.now() < end; ) {
    if (await look()) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`never: ${what}`)
}

/** Three agents fetch, measure, choose, obey and report; `passwordOf` where the broker keeps its own. */
async function wholeFleet(
  t: Test,
  flags: readonly string[],
  passwordOf?: (device: string) => string,
): Promise<void> {
  const data = t.testdir()
  await fill(data, networkBytes(64), [small, large])
  const service = new ServiceProcess(data, flags)
  t.teardown(() => service.end())
  await service.start()
  const agents = new Map<string, AgentProcess>()
  for (const [id, memory] of plans) {
    const credential = await service.device(id)
    const agent = new AgentProcess(passwordOf ? { ...credential, password: passwordOf(id) } : credential)
    t.teardown(() => agent.end('SIGKILL'))
    agents.set(id, agent)
    agent.start(['--memory', memory])
  }
  const device = async (id: string) => (await service.call('GET', `/devices/${id}`)).body
  for (const [id, , fits] of plans) {
    await until(`${id} runs ${fits.variant.name}`, async () => {
      const { active, state } = await device(id)
      return state === 'active' && (active as { variant: string } | null)?.variant === fits.variant.digest
    })
    const current = readFileSync(join(String(agents.get(id)?.state), 'current', 'model.onnx'))
    t.ok(current.equals(fits.bytes), `${id} has ${fits.variant.name}`)
  }
  await until('each has reported', async () => (await service.reportIds()).length >= plans.length)
  const before = (await service.reportIds()).length
  await service.call('POST', '/devices/tight/commands', { action: 'benchmark' })
  await until('a command is obeyed', async () => (await service.reportIds()).length > before)
  await agents.get('tight')?.end('SIGKILL')
  await until('a will is heard', async () => (await device('tight')).online === false)
  for (const [, agent] of agents) t.ok((await agent.status()).outbox.dropped === 0)
}

t.test('three agents are served by the embedded broker', (t) => wholeFleet(t, []))

interface Outside {
  readonly url: string
  readonly password: (user: string) => string
}

const users = ['espalier', 'spy', ...plans.map(([id]) => id)]
const forbidden = [
  ...['#', 'espalier/v1/devices/tight/desired', 'espalier/v1/devices/+/credential'],
  ...['espalier/v1/devices/+/reports/+', '$MQTT/sub/#', '$MQTT/#'],
]

/** The fleet at somebody else's broker, beside a device that tries to hear what is not for it. @returns what it heard */
async function overheardAt(t: Test, { url, password }: Outside): Promise<Map<string, string>> {
  const spy = await mqtt.connectAsync(url, {
    ...{ clientId: 'spy', username: 'spy', password: password('spy'), protocolVersion: 4 },
  })
  t.teardown(() => spy.endAsync(true))
  const overheard = new Map<string, string>()
  spy.on('message', (topic) => overheard.set(topic, parseTopic(topic)?.name ?? '?'))
  for (const filter of [
    ...forbidden,
    ...deviceSubscribes.map((name) => topicFilter(name, { device: 'spy' })),
  ])
    await spy.subscribeAsync(filter, { qos: 1 }).catch(() => undefined) // some brokers refuse, others never send
  const login = url.replace('//', `//espalier:${encodeURIComponent(password('espalier'))}@`)
  await wholeFleet(t, ['--broker', login], password)
  t.ok([...overheard.values()].every((name) => (deviceSubscribes as string[]).includes(name)))
  t.notOk(
    [...overheard.keys()].some((topic) => topic.includes('/devices/')),
    'nothing of a device',
  )
  return overheard
}

t.test(
  'the same three by Mosquitto: one URL is changed, and its permissions are the exported ones',
  { skip: withoutMosquitto },
  async (t) => {
    const overheard = await overheardAt(t, await startMosquitto(t, users))
    t.same([...new Set(overheard.values())].sort(), ['catalogue', 'keys', 'servicePresence'])
  },
)

t.test(
  'the same three by nats-server, with the users that are exported for it',
  { skip: withoutNats },
  async (t) => {
    const overheard = await overheardAt(t, await startNats(t, users))
    t.same([...new Set(overheard.values())].sort(), ['catalogue', 'keys', 'servicePresence'])
  },
)
