import { LaneStream } from '@espalier/agent/net/block-lane.js'
import mqttPacket from 'mqtt-packet'
import t from 'tap'

const publish = (topic: string, payload: Buffer, qos: 0 | 1 = 0): Buffer =>
  mqttPacket.generate({ cmd: 'publish', topic, payload, qos, messageId: 7, retain: false, dup: false })

/** Feeds bytes in chunks of `size` through one buffer that is overwritten each time, as the socket does. */
function feed(bytes: Buffer, size: number) {
  const blocks: string[] = []
  const lane = {
    takes: (topic: string) => topic === 'lane',
    block: (_: string, payload: Buffer) => {
      blocks.push(payload.toString('latin1'))
    },
  }
  const stream = new LaneStream(lane)
  const through: Buffer[] = []
  stream.on('data', (chunk: Buffer) => through.push(chunk))
  let error: Error | null = null
  stream.on('error', (e) => {
    error = e
  })
  const shared = Buffer.alloc(size)
  for (let at = 0; at < bytes.length; at += size) {
    const read = bytes.copy(shared, 0, at, at + size)
    stream.arrived(shared.subarray(0, read))
    shared.fill(0xff)
  }
  return new Promise<{ blocks: string[]; through: Buffer; error: Error | null }>((resolve) =>
    setImmediate(() => resolve({ blocks, through: Buffer.concat(through), error })),
  )
}

const others = [
  mqttPacket.generate({ cmd: 'connack', returnCode: 0, sessionPresent: false }),
  publish('other', Buffer.from('not a block')),
  publish('lane', Buffer.from('acknowledged, so not the lane’s'), 1),
  publish('other', Buffer.alloc(200_000, 5)),
  mqttPacket.generate({ cmd: 'pingresp' }),
]
const payloads = ['one', 'x'.repeat(130_000), '', 'y'.repeat(127)]
const mixed = Buffer.concat(
  payloads.flatMap((p, i) => [others[i], publish('lane', Buffer.from(p)), others[4]]),
)
const rest = Buffer.concat(payloads.flatMap((_, i) => [others[i], others[4]]))

for (const size of [1, 3, 1000, 65_536, 1_000_000]) {
  t.test(`blocks leave the stream and nothing else changes, read ${size} bytes at a time`, async (t) => {
    const { blocks, through, error } = await feed(mixed, size)
    t.same(blocks, payloads)
    t.ok(through.equals(rest), 'every other byte passes')
    t.equal(error, null)
  })
}

t.test('a packet of malformed or enormous length ends the connection', async (t) => {
  for (const header of [
    [0x30, 0xff, 0xff, 0xff, 0xff, 0x01],
    [0x30, 0xff, 0xff, 0xff, 0x7f],
  ]) {
    const { error } = await feed(Buffer.from(header), 100)
    t.match(error, { message: /length|bytes/ })
  }
})
