import { createHash } from 'node:crypto'
import {
  type BlocksRequest,
  blocksRequest,
  encode,
  parseBlock,
  wanted,
} from '@espalier/shared/messages/index.js'
import { topic } from '@espalier/shared/topics.js'
import t from 'tap'
import { centre } from '../support/centre.js'
import { connectDevice, type TestDevice, until } from '../support/mqtt.js'

/** Asks for windows of blocks until all are there, as an agent does. @returns the artifact. */
async function download(
  device: TestDevice,
  id: string,
  digest: string,
  count: number,
  window: number,
): Promise<Buffer> {
  const data = topic('blocksData', { device: id })
  await device.client.subscribeAsync(data)
  const parts = new Map<number, Buffer>()
  device.client.on('message', (name, payload) => {
    if (name !== data) return
    const block = parseBlock(payload)
    parts.set(block.index, Buffer.from(block.payload))
  })
  for (let first = 0; first < count; first += window) {
    const indexes = Array.from({ length: Math.min(window, count - first) }, (_, i) => first + i)
    await ask(device, id, { digest, ...wanted(indexes), window })
    await until(() => indexes.every((index) => parts.has(index)))
  }
  return Buffer.concat(Array.from({ length: count }, (_, index) => parts.get(index) ?? Buffer.alloc(0)))
}

const ask = (device: TestDevice, id: string, request: BlocksRequest) =>
  device.client.publishAsync(topic('blocksRequest', { device: id }), encode(blocksRequest, request), {
    qos: 1,
  })

const sha256 = (data: Buffer) => createHash('sha256').update(data).digest('hex')

t.test('a thousand blocks arrive whole and each once', async (t) => {
  const { offer, catalogues, blocks, join } = await centre(t)
  const { digest, data } = offer('large', 1000 * 65_536 - 17)
  await catalogues.publish('digits', 1)
  const device = await join('a')
  const got = await download(device, 'a', digest, 1000, 64)
  t.equal(sha256(got), digest)
  t.same(blocks.sent, { blocks: 1000, bytes: data.length, forMany: 0 })
  t.equal(device.received.length, 1000)
})

t.test('several devices fetch at once, each its own artifact', async (t) => {
  const { offer, catalogues, join } = await centre(t)
  const made = ['a', 'b', 'c'].map((id) => ({ id, ...offer(id, 2_000_000) }))
  await catalogues.publish('digits', 1)
  const got = await Promise.all(
    made.map(async ({ id, digest }) => sha256(await download(await join(id), id, digest, 31, 8))),
  )
  t.same(
    got,
    made.map(({ digest }) => digest),
  )
})

t.test('what is not offered is refused to the device, in words', async (t) => {
  const { join, log, offer, offers, catalogues } = await centre(t)
  const withdrawn = offer('small')
  await catalogues.publish('digits', 1)
  offers.pop()
  await catalogues.publish('digits', 1)
  const device = await join('a')
  await device.client.subscribeAsync(topic('blocksData', { device: 'a' }))
  for (const digest of [withdrawn.digest, '00'.repeat(32)]) {
    await ask(device, 'a', { digest, ...wanted([0]), window: 1 })
  }
  const [first] = await device.messages('blocks/data', 2)
  const { kind, payload } = parseBlock(first)
  t.equal(kind, 'refusal')
  t.match(JSON.parse(Buffer.from(payload).toString()), { code: 'ARTIFACT_UNKNOWN' })
  t.match(log.codes(), ['ARTIFACT_UNKNOWN', 'ARTIFACT_UNKNOWN'])
})

t.test('requests that make no sense are logged and answered with nothing', async (t) => {
  const { join, log, offer, catalogues, blocks } = await centre(t)
  const { digest } = offer('small')
  await catalogues.publish('digits', 1)
  const device = await join('a')
  await device.client.subscribeAsync(topic('blocksData', { device: 'a' }))
  const to = topic('blocksRequest', { device: 'a' })
  const request = { digest, ...wanted([0]), window: 1 }
  for (const bad of [
    'noise',
    '{}',
    JSON.stringify({ ...request, window: 100_000 }),
    JSON.stringify({ ...request, first: -1 }),
    JSON.stringify({ ...request, digest: '../../etc/passwd' }),
    JSON.stringify({ ...request, bitmap: 'A'.repeat(100_000) }),
  ])
    await device.client.publishAsync(to, bad, { qos: 1 })
  await ask(device, 'a', { digest, ...wanted([0, 2]), window: 2 })
  t.match(new Set(log.codes()), new Set(['MESSAGE_INVALID', 'MESSAGE_TOO_LARGE', 'BLOCK_INVALID']))
  t.equal(blocks.sent.blocks, 0)
  await ask(device, 'a', request)
  await device.messages('blocks/data')
  t.equal(device.received.length, 1, 'and the device is served as before')
})

t.test('a device that is killed in mid-download finishes with at most one window served twice', async (t) => {
  const { offer, catalogues, blocks, fleet, broker } = await centre(t)
  const { digest } = offer('large', 400 * 65_536)
  await catalogues.publish('digits', 1)
  const { password } = fleet.admission.create({ id: 'a' })
  const data = topic('blocksData', { device: 'a' })
  const window = 64
  const parts = new Map<number, Buffer>()
  const run = async (killAt: number) => {
    const device = await connectDevice(broker.url, 'a', password)
    await device.client.subscribeAsync(data)
    device.client.on('message', (_, payload) => {
      const block = parseBlock(payload)
      if (parts.size < killAt) parts.set(block.index, Buffer.from(block.payload))
      else device.client.stream.destroy()
    })
    while (parts.size < 400 && device.client.connected) {
      const missing = Array.from({ length: 400 }, (_, i) => i).filter((i) => !parts.has(i))
      const asked = missing.slice(0, window)
      ask(device, 'a', { digest, ...wanted(asked), window }).catch(() => undefined)
      await until(() => asked.every((i) => parts.has(i)) || !device.client.connected)
    }
    device.client.end(true)
  }
  await run(150)
  t.equal(parts.size, 150)
  await run(400)
  t.equal(
    sha256(Buffer.concat(Array.from({ length: 400 }, (_, i) => parts.get(i) ?? Buffer.alloc(0)))),
    digest,
  )
  t.ok(blocks.sent.blocks <= 400 + window, `${blocks.sent.blocks} blocks were sent for 400`)
})
