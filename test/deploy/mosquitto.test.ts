import { devicePublishes, deviceSubscribes, type TopicName, topic } from '@espalier/shared/topics.js'
import mqtt, { type MqttClient } from 'mqtt'
import t, { type Test } from 'tap'
import { type Mosquitto, withoutMosquitto as skip, startMosquitto } from './support/mosquitto.js'

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

const levels = { claim: 'c', n: 7, model: 'digits', version: 1, digest: 'ab'.repeat(32), block: 3 }
const names = [
  'presence',
  'facts',
  'desired',
  'reported',
  'reports',
  'reportsAck',
  'blocksRequest',
] as TopicName[]
names.push(
  'blocksData',
  'command',
  'commandAck',
  'catalogue',
  'artifact',
  'credential',
  'keys',
  'servicePresence',
  'wish',
  'logs',
)
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
    const broker = await startMosquitto(t, ['espalier', 'pi-1', 'pi-2'])
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
  const broker = await startMosquitto(t, ['espalier', 'pi-1'])
  const service = await connect(t, broker, 'espalier')
  const device = await connect(t, broker, 'pi-1')
  const topics = ['pi-1', 'pi-2'].flatMap((id) => names.map((name) => topicOf(name, id)))
  const last = topic('command', { device: 'pi-1', n: 999 })
  const allowed = deviceSubscribes.map((name) => topicOf(name, 'pi-1'))
  t.strictSame(await heard(device, service, [...new Set(topics)], last), allowed.sort())
})

t.test('nobody enters without a password', { skip }, async (t) => {
  const broker = await startMosquitto(t, ['pi-1'])
  await connect(t, broker, 'pi-1')
  for (const login of [{}, { username: 'pi-1', password: 'guess' }]) {
    await t.rejects(mqtt.connectAsync(broker.url, { ...login, reconnectPeriod: 0 }), /not authorized/i)
  }
})
