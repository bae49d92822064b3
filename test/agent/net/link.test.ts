import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { systemClock } from '@espalier/agent/clock.js'
import type { Credential } from '@espalier/agent/credential.js'
import { Link } from '@espalier/agent/net/link.js'
import type { EspalierError } from '@espalier/shared'
import { parse, presence } from '@espalier/shared/messages/index.js'
import { topic } from '@espalier/shared/topics.js'
import { Aedes } from 'aedes'
import t, { type Test } from 'tap'
import { patience } from '../../support/patience.js'

/** A broker behind a door that may be frozen: connections stay open and nothing passes. */
async function setUp(
  t: Test,
  authenticate?: (done: (error: Error & { returnCode: number }) => void) => void,
) {
  const aedes = await Aedes.createBroker(
    authenticate && {
      authenticate: (_client, _username, _password, done) =>
        authenticate((error) => done(error as never, null)),
    },
  )
  const broker = createServer((socket) => aedes.handle(socket)).listen(0, '127.0.0.1')
  await once(broker, 'listening')
  const state = { frozen: false }
  const sockets = new Set<Socket>()
  const door = createServer((near) => {
    const far = connect((broker.address() as AddressInfo).port, '127.0.0.1')
    for (const [from, to] of [
      [near, far],
      [far, near],
    ]) {
      sockets.add(from)
      from.on('data', (chunk) => state.frozen || to.write(chunk))
      from.on('close', () => to.destroy())
      from.on('error', () => to.destroy())
    }
  }).listen(0, '127.0.0.1')
  await once(door, 'listening')
  const seen: { online: number; errors: (EspalierError | null)[]; epochs: number[] } = {
    online: 0,
    errors: [],
    epochs: [],
  }
  aedes.subscribe(
    topic('presence', { device: 'dev-1' }),
    (packet, done) => {
      const { online, epoch } = parse(presence, Buffer.from(packet.payload))
      seen.epochs.push(online ? epoch : -epoch)
      done()
    },
    () => {},
  )
  let epoch = 0
  const credential: Credential = {
    id: 'dev-1',
    password: 'x',
    broker: `mqtt://127.0.0.1:${(door.address() as AddressInfo).port}`,
    servicePublicKey: '',
  }
  const link = new Link({
    credential,
    agentVersion: '0',
    clock: systemClock,
    nextEpoch: () => ++epoch,
    subscriptions: [topic('desired', { device: 'dev-1' })],
    onMessage: () => {},
    onBlock: () => {},
    onOnline: () => seen.online++,
    onOffline: (error) => seen.errors.push(error),
    retryMs: [10, 50],
    keepaliveSeconds: 1,
  })
  t.teardown(async () => {
    await link.stop()
    for (const socket of sockets) socket.destroy()
    door.close()
    broker.close()
    await new Promise<void>((resolve) => aedes.close(() => resolve()))
  })
  return { link, state, seen, aedes, sockets }
}

async function until(holds: () => boolean): Promise<void> {
  const end = Date.now() + 20_000 * patience
  while (!holds()) {
    if (Date.now() > end) throw new Error(`never: ${holds}`)
    await systemClock.sleep(10)
  }
}

t.test('a connection that freezes is noticed by keepalive and made anew, under a higher epoch', async (t) => {
  const { link, state, seen } = await setUp(t)
  link.start()
  await until(() => seen.online === 1)
  state.frozen = true
  await until(() => seen.errors.length >= 1)
  t.equal(link.online, false)
  await t.rejects(link.publish('x', Buffer.from('y')), { code: 'BROKER_UNREACHABLE' })
  state.frozen = false
  await until(() => seen.online === 2)
  await until(() => seen.epochs.some((epoch) => epoch > 1))
  t.match(seen.errors[0], { code: 'BROKER_UNREACHABLE' })
})

t.test('a dropped connection leaves its will with the epoch of its birth', async (t) => {
  const { link, seen, sockets } = await setUp(t)
  link.start()
  await until(() => seen.epochs.includes(1))
  for (const socket of sockets) socket.destroy()
  await until(() => seen.epochs.includes(-1) && seen.online === 2)
  await link.stop()
  await until(() => seen.epochs.includes(-2))
  t.pass('an orderly end says goodbye itself')
})

for (const [returnCode, code] of [
  [2, 'DEVICE_CONNECTED'],
  [4, 'CREDENTIAL_INVALID'],
  [5, 'CREDENTIAL_INVALID'],
] as const) {
  t.test(`CONNACK ${returnCode} is told as ${code}, and tried again`, async (t) => {
    const { link, seen } = await setUp(t, (done) => done(Object.assign(new Error('no'), { returnCode })))
    link.start()
    await until(() => seen.errors.length >= 2)
    t.equal(seen.errors[0]?.code, code)
    t.equal(seen.online, 0)
  })
}
