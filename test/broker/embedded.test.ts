import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { EmbeddedBroker, type Incoming } from '@espalier/server/broker/index.js'
import { EspalierError } from '@espalier/shared'
import { topic } from '@espalier/shared/topics.js'
import t, { type Test } from 'tap'
import { connectDevice, Log, type TestDevice, until } from '../support/mqtt.js'

async function broker(t: Test, options: { probeMs?: number } = {}) {
  const log = new Log()
  const broker = new EmbeddedBroker({
    host: '127.0.0.1',
    port: 0,
    log,
    authenticate: (device, password) => password === `secret of ${device}`,
    admitsClaim: (token) => token === 'a token',
    ...options,
  })
  const taken: Incoming[] = []
  for (const name of ['presence', 'facts', 'reports', 'blocksRequest'] as const)
    broker.handle(name, (incoming) => void taken.push(incoming))
  await broker.start()
  t.teardown(() => broker.close())
  const join = async (id: string, settings = {}) => {
    const device = await connectDevice(broker.url, id, `secret of ${id}`, settings)
    t.teardown(() => device.client.end(true))
    return device
  }
  return { broker, log, taken, join }
}

t.test('a device with its password connects, any other is refused', async (t) => {
  const { broker: b, log } = await broker(t)
  await t.rejects(connectDevice(b.url, 'a', 'secret of b'), { code: 4 })
  await t.rejects(connectDevice(b.url, 'a', 'secret of a', { username: 'b' }), { code: 4 })
  await t.rejects(connectDevice(b.url, 'a', '', { username: '', password: '' }), { code: 4 })
  t.match(log.codes(), ['CREDENTIAL_INVALID'])
  const device = await connectDevice(b.url, 'a', 'secret of a')
  await device.client.endAsync()
})

t.test('what a device publishes reaches its handler before it is acknowledged', async (t) => {
  const { taken, join } = await broker(t)
  const device = await join('a')
  await device.client.publishAsync(topic('facts', { device: 'a' }), 'hello', { qos: 1 })
  t.match(taken, [{ device: 'a', payload: Buffer.from('hello') }])
})

t.test(
  'a handler that fails for its own reasons leaves the message unacknowledged, a bad message is dropped',
  async (t) => {
    const { broker: b, join, log } = await broker(t)
    b.handle('facts', () => {
      throw new EspalierError('DISK_FULL', 'the disk is full')
    })
    b.handle('reports', () => {
      throw new EspalierError('MESSAGE_INVALID', 'reports: not JSON')
    })
    const device = await join('a')
    await device.client.publishAsync(topic('reports', { device: 'a', n: 1 }), '{', { qos: 1 })
    t.match(log.lines, [{ fields: { device: 'a', code: 'MESSAGE_INVALID' } }])
    const acknowledged = device.client.publishAsync(topic('facts', { device: 'a' }), 'x', { qos: 1 })
    acknowledged.catch(() => undefined)
    await closed(device)
    t.equal(device.client.connected, false)
  },
)

t.test(
  'a message on another device’s topic ends the connection, is logged, and reaches nobody',
  async (t) => {
    const { taken, join, log } = await broker(t)
    for (const foreign of [
      topic('facts', { device: 'b' }),
      topic('desired', { device: 'a' }),
      topic('reportsAck', { device: 'a' }),
      topic('servicePresence', {}),
      topic('artifact', { digest: 'ab'.repeat(32), block: 0 }),
      '$SYS/x/heartbeat',
      'elsewhere',
    ]) {
      const device = await join('a')
      device.client.publish(foreign, 'x', { qos: 1 })
      await closed(device)
    }
    t.match(log.codes(), ['TOPIC_FORBIDDEN'])
    t.same(taken, [])
  },
)

t.test('a will on another device’s topic is not published', async (t) => {
  const { taken, join, log } = await broker(t)
  const device = await join('a', {
    will: { topic: topic('presence', { device: 'b' }), payload: 'x', qos: 1 },
  })
  device.client.stream.destroy()
  await until(() => log.codes().includes('TOPIC_FORBIDDEN'))
  t.same(taken, [])
})

t.test('a device subscribes to its own topics and to no wider wildcard', async (t) => {
  const { join, log } = await broker(t)
  const device = await join('a')
  const granted = async (filter: string) =>
    (await device.client.subscribeAsync(filter).catch(() => [{ qos: 128 }]))[0].qos
  const root = 'espalier/v1'
  for (const filter of [
    'devices/a/desired',
    'devices/a/commands/+',
    'models/+/versions/+/catalogue',
    'models/m/versions/1/catalogue',
    'artifacts/+/+',
    `artifacts/${'ab'.repeat(32)}/+`,
    'service/presence',
  ])
    t.equal(await granted(`${root}/${filter}`), 0, filter)
  for (const filter of [
    '#',
    '+/+/+/+/+',
    `${root}/#`,
    `${root}/devices/+/desired`,
    `${root}/devices/b/desired`,
    `${root}/devices/a/facts`,
    `${root}/devices/a/+`,
    `${root}/models/#`,
    `${root}/artifacts/#`,
    `${root}/+/presence`,
    '$SYS/#',
  ])
    t.equal(await granted(filter), 128, filter)
  t.match(log.codes(), ['TOPIC_FORBIDDEN'])
  for (let n = 0; n < 80; n++) await granted(`${root}/models/m/versions/${n}/catalogue`)
  t.equal(await granted(`${root}/models/m/versions/81/catalogue`), 128, 'subscriptions are bounded')
})

t.test('a second session of an id is refused while the first answers', async (t) => {
  const { broker: b, join, log } = await broker(t, { probeMs: 2_000 })
  const first = await join('a')
  await t.rejects(connectDevice(b.url, 'a', 'secret of a'), { code: 2 })
  t.ok(first.client.connected)
  t.match(log.codes(), ['DEVICE_CONNECTED'])
  await first.client.publishAsync(topic('facts', { device: 'a' }), 'still here', { qos: 1 })
})

t.test('a second session takes the place of a first that no longer answers', async (t) => {
  const { broker: b, join } = await broker(t, { probeMs: 100 })
  const mute = connect(Number(new URL(b.url).port))
  await once(mute, 'connect')
  mute.write(rawConnect('a', 'secret of a'))
  await once(mute, 'data')
  const second = await join('a')
  t.ok(second.client.connected)
  await once(mute, 'close')
})

t.test('a packet that announces megabytes ends the connection before they are gathered', async (t) => {
  const { broker: b, log } = await broker(t)
  const socket = connect(Number(new URL(b.url).port))
  socket.on('error', () => undefined)
  await once(socket, 'connect')
  socket.write(Buffer.from([0x10, 0xff, 0xff, 0xff, 0x7f]))
  await once(socket, 'close')
  t.match(log.codes(), ['MESSAGE_TOO_LARGE'])
})

t.test('packets that come a byte at a time are measured all the same', async (t) => {
  const { broker: b, log } = await broker(t)
  const socket = connect({ port: Number(new URL(b.url).port), noDelay: true })
  socket.on('error', () => undefined)
  await once(socket, 'connect')
  const trickle = async (bytes: Buffer) => {
    for (const byte of bytes) {
      socket.write(Buffer.from([byte]))
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
  }
  const connected = once(socket, 'data')
  await trickle(rawConnect('a', 'secret of a'))
  const [connack] = await connected
  t.same(connack, Buffer.from([0x20, 2, 0, 0]))
  const answered = once(socket, 'data')
  await trickle(Buffer.from([0xc0, 0]))
  const [pong] = await answered
  t.same(pong, Buffer.from([0xd0, 0]))
  const closed = once(socket, 'close')
  await trickle(Buffer.from([0x30, 0x80, 0x80, 0x28]))
  await closed
  t.match(log.codes(), ['MESSAGE_TOO_LARGE'])
})

t.test('noise instead of MQTT ends that connection and no other', async (t) => {
  const { broker: b, join } = await broker(t)
  const device = await join('a')
  for (const noise of [
    Buffer.alloc(64, 0xff),
    Buffer.from('GET / HTTP/1.1\r\n\r\n'),
    Buffer.from([0x30, 0x02, 0x00, 0x00]),
  ]) {
    const socket = connect(Number(new URL(b.url).port))
    socket.on('error', () => undefined)
    socket.end(noise)
    await once(socket.resume(), 'close')
  }
  await device.client.publishAsync(topic('facts', { device: 'a' }), 'x', { qos: 1 })
})

t.test(
  'a device that stops reading stalls nobody, and finds the last message when it reads again',
  async (t) => {
    const { broker: b, join } = await broker(t)
    const frozen = await join('frozen')
    const living = await join('living')
    const catalogue = topic('catalogue', { model: 'm', version: 1 })
    const blocks = topic('blocksData', { device: 'frozen' })
    await frozen.client.subscribeAsync([catalogue, blocks])
    await living.client.subscribeAsync(catalogue)
    frozen.client.stream.pause()
    let sent = 0
    let stuck = false
    const fill = async () => {
      while (sent < 4096 && (await b.sendBlock('frozen', Buffer.alloc(16), Buffer.alloc(65536)))) sent++
    }
    const filled = fill()
    await until(() => {
      const before = sent
      stuck = before > 8 && before === sent
      return stuck
    })
    const ten = Array.from({ length: 300 }, (_, n) => b.retain(catalogue, Buffer.from(`sequence ${n}`)))
    await Promise.all(ten)
    const seen = await living.messages('catalogue', 300)
    t.equal(seen.length, 300, 'the living device has them all')
    t.ok(sent < 4096, `the frozen one was sent ${sent} blocks and then no more`)
    frozen.client.stream.resume()
    await until(() => frozen.received.some(({ payload }) => payload.toString() === 'sequence 299'))
    sent = 4096
    await filled
  },
)

t.test('retained messages wait for those who come later; others of a device are not kept', async (t) => {
  const { broker: b, join } = await broker(t)
  const desired = topic('desired', { device: 'a' })
  await b.retain(desired, Buffer.from('first'))
  await b.retain(desired, Buffer.from('second'))
  const device = await join('a')
  await device.client.subscribeAsync(desired)
  t.equal((await device.messages('desired'))[0].toString(), 'second')
})

t.test(
  'the broker stays on loopback unless the operator insists, and says when its port is taken',
  async (t) => {
    const log = new Log()
    const base = { port: 0, log, authenticate: () => false, admitsClaim: () => false }
    t.throws(() => new EmbeddedBroker({ ...base, host: '0.0.0.0' }), { code: 'BROKER_INSECURE' })
    new EmbeddedBroker({ ...base, host: '0.0.0.0', insecureLan: true })
    t.match(log.codes(), ['BROKER_INSECURE'], 'it warns')
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    const address = other.address()
    if (typeof address !== 'object' || !address) return t.fail('no port')
    const second = new EmbeddedBroker({ ...base, host: '127.0.0.1', port: address.port })
    await t.rejects(second.start(), { code: 'PORT_TAKEN', message: new RegExp(String(address.port)) })
    other.close()
  },
)

const closed = (device: TestDevice) =>
  new Promise<void>((resolve) => device.client.once('close', () => resolve()))

/** A CONNECT packet of a client that will then say nothing. */
function rawConnect(id: string, password: string): Buffer {
  const text = (value: string) => Buffer.concat([Buffer.from([0, value.length]), Buffer.from(value)])
  const body = Buffer.concat([
    text('MQTT'),
    Buffer.from([4, 0xc2, 0, 60]),
    text(id),
    text(id),
    text(password),
  ])
  return Buffer.concat([Buffer.from([0x10, body.length]), body])
}
