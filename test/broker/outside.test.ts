import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
import { join } from 'node:path'
import { type Incoming, OutsideBroker } from '@espalier/server/broker/index.js'
import { topic } from '@espalier/shared/topics.js'
import { Aedes } from 'aedes'
import t, { type Test } from 'tap'
import { connectDevice, Log, until } from '../support/mqtt.js'

/** aedes, as somebody else would run it. */
async function aedes(t: Test): Promise<string> {
  const broker = await Aedes.createBroker()
  const server = createServer(broker.handle).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  t.teardown(async () => {
    await new Promise<void>((resolve) => broker.close(resolve))
    server.close()
  })
  return `mqtt://127.0.0.1:${port}`
}

/** Eclipse Mosquitto on a free port. */
async function mosquitto(t: Test, program: string): Promise<string> {
  const free = createServer().listen(0, '127.0.0.1')
  await once(free, 'listening')
  const { port } = free.address() as AddressInfo
  await new Promise((done) => free.close(done))
  const file = join(t.testdir(), 'mosquitto.conf')
  writeFileSync(file, `listener ${port} 127.0.0.1\nallow_anonymous true\n`)
  const process = spawn(program, ['-c', file], { stdio: 'ignore' })
  t.teardown(async () => {
    process.kill()
    await once(process, 'exit')
  })
  for (;;) {
    const socket = connect(port, '127.0.0.1')
    const up = await new Promise((answer) => {
      socket.once('connect', () => answer(true)).once('error', () => answer(false))
    })
    socket.destroy()
    if (up) return `mqtt://127.0.0.1:${port}`
    await new Promise((wait) => setTimeout(wait, 20))
  }
}

async function servesAsTheEmbeddedOne(t: Test, url: string): Promise<void> {
  const taken: Incoming[] = []
  const broker = new OutsideBroker({ url, log: new Log() })
  broker.handle('facts', (incoming) => void taken.push(incoming))
  await broker.start()
  const device = await connectDevice(url, 'a', 'x')
  t.teardown(() => device.client.end(true))
  await device.client.subscribeAsync([
    topic('blocksData', { device: 'a' }),
    topic('desired', { device: 'a' }),
    topic('reportsAck', { device: 'a' }),
    topic('servicePresence', {}),
  ])
  await device.messages('service/presence')
  await device.client.publishAsync(topic('facts', { device: 'a' }), 'hello', { qos: 1 })
  await until(() => taken.length === 1)
  t.match(taken, [{ device: 'a', payload: Buffer.from('hello') }])
  await broker.retain(topic('desired', { device: 'a' }), Buffer.from('do this'))
  broker.send('a', topic('reportsAck', { device: 'a' }), Buffer.from('stored'))
  for (let n = 0; n < 100; n++) t.ok(await broker.sendBlock('a', Buffer.from('head'), Buffer.alloc(65536, n)))
  t.same((await device.messages('desired'))[0], Buffer.from('do this'))
  t.same((await device.messages('reports/ack'))[0], Buffer.from('stored'))
  const blocks = await device.messages('blocks/data', 100)
  t.same(
    blocks.map((block) => block[4]),
    Array.from({ length: 100 }, (_, n) => n),
  )
  await broker.close()
  const presence = await device.messages('service/presence', 2)
  t.match(JSON.parse(String(presence.at(-1))), { online: false })
}

t.test('another aedes serves as the embedded broker does', async (t) =>
  servesAsTheEmbeddedOne(t, await aedes(t)),
)

const program = ['/usr/sbin/mosquitto', '/usr/bin/mosquitto'].find((path) => existsSync(path))
const missing = program ? false : 'mosquitto is not installed (apt-get install mosquitto)'
t.test('Mosquitto serves as the embedded broker does', { skip: missing }, async (t) =>
  servesAsTheEmbeddedOne(t, await mosquitto(t, String(program))),
)

t.test('a broker that is not there is named, without its password', async (t) => {
  const broker = new OutsideBroker({ url: 'mqtt://me:hush@127.0.0.1:1', log: new Log(), connectMs: 300 })
  await t.rejects(broker.start(), { code: 'BROKER_UNREACHABLE', message: /mqtt:\/\/127\.0\.0\.1:1;/ })
})
