import { EmbeddedBroker } from '@espalier/server/broker/index.js'
import { deviceRate, Pace } from '@espalier/server/broker/pace.js'
import { topic } from '@espalier/shared/topics.js'
import t, { type Test } from 'tap'
import { centre } from '../support/centre.js'
import { attacks } from '../support/hostile/attackers.js'
import { Honest } from '../support/hostile/honest.js'
import { hurl, type Login } from '../support/hostile/packets.js'
import { connectDevice, Log } from '../support/mqtt.js'

const portOf = (url: string) => Number(new URL(url).port)

async function setUp(t: Test, attackers: number) {
  const it = await centre(t)
  it.fleet.admission.create({ id: 'victim' })
  const logins: Login[] = Array.from({ length: attackers }, (_, n) => {
    const { id, password } = it.fleet.admission.create({ id: `bad-${n}` })
    return { id, password, victim: 'victim' }
  })
  const { password } = it.fleet.admission.create({ id: 'honest' })
  const honest = await Honest.join(it.broker.url, 'honest', password)
  t.teardown(() => honest.device.client.end(true))
  return { ...it, logins, honest, port: portOf(it.broker.url) }
}

t.test(
  'two thousand mutated packets reach no other device, and the honest are served meanwhile',
  async (t) => {
    const { port, logins, honest, fleet, db, log } = await setUp(t, 8)
    const victim = () => JSON.stringify([fleet.device('victim'), db.prepare('SELECT * FROM desired').all()])
    const before = victim()
    const seeds = Array.from({ length: 2000 }, (_, n) => 700_001 + n)
    const sent = await honest.during(hurl(port, logins, seeds))
    t.equal(
      Object.values(sent).reduce((sum, n) => sum + n),
      2000,
    )
    t.ok(Object.keys(sent).length >= 8, `of ${Object.keys(sent).length} kinds`)
    t.equal(victim(), before)
    t.equal(fleet.devices({}).items.length, 10, 'nobody came in')
    const codes = new Set(log.codes())
    for (const code of ['TOPIC_FORBIDDEN', 'CREDENTIAL_INVALID', 'MESSAGE_TOO_LARGE'])
      t.ok(codes.has(code), code)
    t.notOk(codes.has('INTERNAL'))
    t.ok(honest.device.client.connected)
    t.ok(honest.waits.served >= 3, `${honest.waits.served} reports, the slowest ${honest.waits.longestMs} ms`)
  },
)

t.test(
  'who sends as fast as it can is read at its rate, and others are served between its messages',
  async (t) => {
    const rate = { packetsPerSecond: 100, bytesPerSecond: 2 ** 20, burst: 2 }
    const taken: Record<string, number> = {}
    const broker = new EmbeddedBroker({
      ...{ host: '127.0.0.1', port: 0, log: new Log(), rate },
      authenticate: () => true,
      admitsClaim: () => false,
    })
    for (const name of ['presence', 'reported'] as const)
      broker.handle(name, ({ device }) => {
        taken[device] = (taken[device] ?? 0) + 1
        const until = performance.now() + 1 // as a write to a disk
        while (performance.now() < until);
      })
    await broker.start()
    t.teardown(() => broker.close())
    const honest = await connectDevice(broker.url, 'honest', 'x')
    t.teardown(() => honest.client.end(true))
    const began = performance.now()
    const flood = attacks['births at full speed, each written to disk']
    let over = false
    const flooded = flood(portOf(broker.url), { id: 'bad', password: 'x', victim: 'honest' }, 1500).finally(
      () => {
        over = true
      },
    )
    let served = 0
    for (; !over; served++)
      await honest.client.publishAsync(topic('reported', { device: 'honest' }), 'x', { qos: 1 })
    const { packets } = await flooded
    const seconds = (performance.now() - began) / 1000
    // One turn's bytes may go beyond: 4 KiB of packets of 80 bytes.
    const most = rate.packetsPerSecond * (rate.burst + seconds) + 60
    t.ok(taken.bad <= most, `${taken.bad} were taken of ${packets}, at most ${Math.round(most)}`)
    t.ok(packets > 10 * taken.bad)
    t.ok(served >= 20 && taken.honest >= served, `the honest one was served ${served} times`)
  },
)

for (const attack of [
  'a thousand connections that say nothing',
  'a thousand that begin a packet and never end it',
  'a thousand with a wrong password',
  'a thousand with long names and no password',
  'a thousand with one stolen credential',
] as const) {
  t.test(`${attack} keep nobody out`, async (t) => {
    const { port, logins, honest, fleet, broker, log } = await setUp(t, 1)
    const { left } = await honest.during(attacks[attack](port, logins[0], 10_000))
    t.ok(left <= 500, `${left} of a thousand are still there`)
    t.ok(honest.device.client.connected)
    const late = fleet.admission.create({ id: 'late' })
    const device = await connectDevice(broker.url, 'late', late.password)
    t.teardown(() => device.client.end(true))
    const names = log.lines.map(({ fields }) => String(fields.device ?? ''))
    t.ok(Math.max(0, ...names.map(({ length }) => length)) <= 63, 'and no long name is kept')
  })
}

t.test('a pace lets a burst through, then its rate, and forgets nothing that was taken too much', (t) => {
  let now = 0
  const pace = new Pace({ packetsPerSecond: 10, bytesPerSecond: 1000, burst: 2 }, () => now)
  t.equal(pace.spend(20, 100), 0, 'the burst')
  t.equal(pace.spend(5, 100), 500, 'half a second for five more')
  now += 500
  t.equal(pace.spend(0, 0), 0)
  t.equal(pace.spend(0, 3000), 1000, 'bytes count as well')
  now += 60_000
  t.equal(pace.spend(20, 2000), 0, 'no more is saved up than a burst')
  t.equal(pace.spend(1, 0), 100)
  t.ok(deviceRate.packetsPerSecond * deviceRate.burst >= 1000, 'an outbox empties itself at once')
  t.end()
})
