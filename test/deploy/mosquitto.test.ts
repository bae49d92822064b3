import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { chown, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, connect as open } from 'node:net'
import { tmpdir, userInfo } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { devicePublishes, deviceSubscribes, type TopicName, topic } from '@espalier/shared'
import mqtt, { type MqttClient } from 'mqtt'
import t, { type Test } from 'tap'

const missing = spawnSync('mosquitto', ['-h']).error
const skip = missing && 'mosquitto is not installed'

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address ? address.port : 0
}

interface Mosquitto {
  url: string
  password: (user: string) => string
}

/** Mosquitto with the configuration of deploy/mosquitto, save for its paths, its port and its user. */
async function startBroker(t: Test, users: readonly string[]): Promise<Mosquitto> {
  const folder = await mkdtemp(join(tmpdir(), 'espalier-mosquitto-'))
  const port = await freePort()
  execFileSync(process.execPath, ['deploy/compose/secrets.mjs', folder, ...users])
  const passwords = join(folder, 'mosquitto/passwords')
  if (userInfo().uid === 0) await chown(passwords, 0, 0) // the broker below keeps this user
  const config = (await readFile('deploy/mosquitto/mosquitto.conf', 'utf8'))
    .replace('listener 1883', `listener ${port} 127.0.0.1\nuser ${userInfo().username}`)
    .replace('/secrets/mosquitto/passwords', passwords)
    .replace('/mosquitto/config/acl', resolve('deploy/mosquitto/acl'))
    .replace('/mosquitto/data/', `${folder}/`)
  await writeFile(join(folder, 'mosquitto.conf'), config)
  const mosquitto = spawn('mosquitto', ['-c', join(folder, 'mosquitto.conf')], { stdio: 'ignore' })
  t.teardown(async () => {
    mosquitto.kill()
    if (mosquitto.exitCode === null) await once(mosquitto, 'exit')
    await rm(folder, { recursive: true })
  })
  while (!(await listens(port))) {
    if (mosquitto.exitCode !== null) throw new Error(`mosquitto ended with ${mosquitto.exitCode}`)
    await wait(20)
  }
  return {
    url: `mqtt://127.0.0.1:${port}`,
    password: (user) => readFileSync(join(folder, `${user}.password`), 'utf8'),
  }
}

const listens = (port: number) =>
  new Promise<boolean>((resolve) => {
    const socket = open(port, '127.0.0.1', () => resolve(true)).on('error', () => resolve(false))
    socket.on('connect', () => socket.destroy())
  })

async function connect(
  t: Test,
  broker: Mosquitto,
  username: string,
  clientId = username,
): Promise<MqttClient> {
  const password = broker.password(username)
  const client = await mqtt.connectAsync(broker.url, { clientId, username, password, protocolVersion: 4 })
  t.teardown(() => client.endAsync(true))
  return client
}

const levels = { n: 7, model: 'digits', version: 1 }
const names = [
  'presence',
  'facts',
  'desired',
  'reported',
  'reports',
  'reportsAck',
  'blocksRequest',
] as TopicName[]
names.push('blocksData', 'command', 'commandAck', 'catalogue', 'servicePresence')
const topicOf = (name: TopicName, device: string) => topic(name, { device, ...levels })

/** Publishes to every topic of `devices` and then to `last`; returns which of them `listener` got before `last`. */
async function heard(listener: MqttClient, speaker: MqttClient, topics: string[], last: string) {
  const got: string[] = []
  const end = new Promise<void>((done) => {
    listener.on('message', (topic) => (topic === last ? done() : got.push(topic)))
  })
  await listener.subscribeAsync([...topics, last], { qos: 1 })
  for (const each of [...topics, last]) await speaker.publishAsync(each, 'x', { qos: 1 })
  await end
  return got.sort()
}

t.test(
  'a device publishes to its own topics and no other, whatever client id it claims',
  { skip },
  async (t) => {
    const broker = await startBroker(t, ['espalier', 'pi-1', 'pi-2'])
    const service = await connect(t, broker, 'espalier')
    const device = await connect(t, broker, 'pi-1', 'pi-2')
    const topics = ['pi-1', 'pi-2'].flatMap((id) => names.map((name) => topicOf(name, id)))
    const last = topic('commandAck', { device: 'pi-1', n: 999 })
    // Mosquitto cannot forbid one level of a `+`: a device may write to its own reports/ack, which harms only itself.
    const allowed = [...devicePublishes, 'reportsAck' as const].map((name) => topicOf(name, 'pi-1'))
    t.strictSame(await heard(service, device, [...new Set(topics)], last), allowed.sort())
  },
)

t.test('a device hears what is for it and for everybody, and nothing for others', { skip }, async (t) => {
  const broker = await startBroker(t, ['espalier', 'pi-1'])
  const service = await connect(t, broker, 'espalier')
  const device = await connect(t, broker, 'pi-1')
  const topics = ['pi-1', 'pi-2'].flatMap((id) => names.map((name) => topicOf(name, id)))
  const last = topic('command', { device: 'pi-1', n: 999 })
  const allowed = deviceSubscribes.map((name) => topicOf(name, 'pi-1'))
  t.strictSame(await heard(device, service, [...new Set(topics)], last), allowed.sort())
})

t.test('nobody enters without a password', { skip }, async (t) => {
  const broker = await startBroker(t, ['pi-1'])
  await connect(t, broker, 'pi-1')
  for (const login of [{}, { username: 'pi-1', password: 'guess' }]) {
    await t.rejects(mqtt.connectAsync(broker.url, { ...login, reconnectPeriod: 0 }), /not authorized/i)
  }
})
