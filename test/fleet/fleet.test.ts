import {
  type Desired,
  desired,
  encode,
  type Facts,
  facts,
  logs,
  presence,
  type Reported,
  reported,
  wish,
} from '@espalier/shared/messages/index.js'
import { unseal } from '@espalier/shared/signing.js'
import { topic } from '@espalier/shared/topics.js'
import t, { type Test } from 'tap'
import { centre, publicKey, reportOf } from '../support/centre.js'
import { connectDevice, type TestDevice, until } from '../support/mqtt.js'

const known: Facts = {
  board: 'Raspberry Pi 4 Model B',
  soc: 'bcm2711',
  arch: 'arm64',
  cpu: 'Cortex-A72',
  cores: 4,
  memoryBytes: 4e9,
  memoryLimitBytes: null,
  memoryBudgetBytes: 4e6,
  p95LimitMs: 20,
  kernel: '6.6',
  os: 'Debian 12',
  powerMode: null,
  executionProviders: ['cpu'],
  runtime: 'onnxruntime-node',
  runtimeVersion: '1.30.0',
  agentVersion: '0.1.0',
  labels: { site: 'north' },
}

const idle: Reported = {
  revision: 0,
  state: 'idle',
  active: null,
  previous: null,
  candidate: null,
  error: null,
  at: 1,
}

async function withVariants(t: Test) {
  const it = await centre(t)
  const small = it.offer('small')
  const large = it.offer('large')
  it.fleet.catalogueChanged(await it.catalogues.publish('digits', 1))
  return { ...it, small, large }
}

const order = (bytes: Buffer, device: string): Desired =>
  unseal(desired, bytes, { keys: [publicKey], now: Date.now(), bound: { device }, atLeast: 1 })

async function orders(device: TestDevice, id: string, count = 1): Promise<Desired[]> {
  await device.client.subscribeAsync(topic('desired', { device: id }))
  return (await device.messages('/desired', count)).map((bytes) => order(bytes, id))
}

t.test('a new device has a password of its own, shown once, that no other device can use', async (t) => {
  const { fleet, broker, db } = await centre(t)
  const a = fleet.admission.create({ id: 'a' })
  const b = fleet.admission.create({ id: 'b' })
  t.equal(a.broker, broker.url)
  t.ok(fleet.admission.authenticate('a', a.password))
  t.notOk(fleet.admission.authenticate('a', b.password))
  t.notOk(fleet.admission.authenticate('c', a.password))
  t.throws(() => fleet.admission.create({ id: 'a' }), { code: 'DEVICE_EXISTS' })
  t.throws(() => fleet.device('c'), { code: 'DEVICE_UNKNOWN' })
  const stored = db.prepare('SELECT * FROM devices').all()
  t.notOk(JSON.stringify(stored).includes(a.password))
})

t.test('what a device says of itself is what the service shows', async (t) => {
  const { fleet, join, events, reports, small } = await withVariants(t)
  const seen: string[] = []
  events.watch((event) => void (event.type === 'device.changed' && seen.push(event.device)))
  const device = await join('a')
  const say = (name: 'presence' | 'facts' | 'reported' | 'wish', bytes: Buffer) =>
    device.client.publishAsync(topic(name, { device: 'a' }), bytes, { qos: 1, retain: name !== 'wish' })
  await say('presence', encode(presence, { online: true, epoch: 1, agentVersion: '0.1.0' }))
  await say('facts', encode(facts, known))
  const active = { model: 'digits', version: 1, variant: small.digest }
  await say(
    'reported',
    encode(reported, { ...idle, revision: 1, state: 'active', active, droppedReports: 3 }),
  )
  await reports.add([reportOf('a', 'r1', { variant: small.digest, p50Ms: 3 })])
  t.match(fleet.device('a'), {
    online: true,
    board: known.board,
    memoryBudgetBytes: 4e6,
    labels: { site: 'north' },
    state: 'active',
    active: { variant: small.digest, name: 'small' },
    p50Ms: 3,
    droppedReports: 3,
  })
  t.ok(seen.length >= 4)
  const unmet = {
    ...{ model: 'digits', version: 1, maximise: 'speed' as const, memoryBytes: 1e6, p95Ms: 5, top1: 0.9 },
    ...{ nearest: null, since: 1 },
  }
  t.equal(fleet.device('a').wish, null)
  await say('wish', encode(wish, { wish: unmet }))
  t.same(fleet.device('a').wish, unmet)
  await say('wish', encode(wish, { wish: null }))
  t.equal(fleet.device('a').wish, null)
  const before = seen.length
  await say('facts', encode(facts, known))
  t.equal(seen.length, before, 'the same facts are no news')
})

t.test('a will that comes after the next birth does not take the device offline', async (t) => {
  const { fleet, join } = await centre(t)
  const device = await join('a')
  const say = (online: boolean, epoch: number) =>
    device.client.publishAsync(topic('presence', { device: 'a' }), encode(presence, { online, epoch }), {
      qos: 1,
    })
  await say(true, 5)
  await say(false, 4)
  t.equal(fleet.device('a').online, true)
  await say(false, 5)
  t.equal(fleet.device('a').online, false)
  await say(true, 1)
  t.equal(fleet.device('a').online, true, 'a device that lost its state is heard again')
})

t.test('a killed device is shown offline', async (t) => {
  const { fleet, broker } = await centre(t)
  const { password } = fleet.admission.create({ id: 'a' })
  const will = {
    topic: topic('presence', { device: 'a' }),
    payload: encode(presence, { online: false, epoch: 2 }),
    qos: 1 as const,
    retain: true,
  }
  const device = await connectDevice(broker.url, 'a', password, { will })
  await device.client.publishAsync(will.topic, encode(presence, { online: true, epoch: 2 }), { qos: 1 })
  t.equal(fleet.device('a').online, true)
  device.client.stream.destroy()
  await until(() => !fleet.device('a').online)
})

t.test('garbage on every topic changes nothing and the device stays connected', async (t) => {
  const { fleet, join, telemetry, log } = await centre(t)
  const device = await join('a')
  const before = fleet.device('a')
  const deep = `${'['.repeat(10_000)}${']'.repeat(10_000)}`
  for (const name of ['presence', 'facts', 'reported', 'blocksRequest'] as const)
    for (const noise of [
      'x',
      'null',
      '{}',
      '[1]',
      deep,
      '{"online":"yes","epoch":0}',
      Buffer.alloc(100_000, 0x80),
    ])
      await device.client.publishAsync(topic(name, { device: 'a' }), noise, { qos: 1, retain: true })
  for (const noise of [
    'x',
    'null',
    '{"reports":[]}',
    '{"reports":[{}]}',
    '{"reports":[{"id":"r1"}]}',
    deep,
  ]) {
    await device.client.publishAsync(topic('reports', { device: 'a', n: 1 }), noise, { qos: 1 })
    await device.client.publishAsync(topic('commandAck', { device: 'a', n: 1 }), noise, { qos: 1 })
  }
  t.same(fleet.device('a'), before)
  t.same(telemetry.reports({}).items, [])
  t.ok(device.client.connected)
  t.ok(log.codes().every((code) => code === 'MESSAGE_INVALID' || code === 'MESSAGE_TOO_LARGE'))
})

t.test('an assignment reaches the device signed, with a rising revision', async (t) => {
  const { fleet, join } = await withVariants(t)
  const device = await join('a')
  await fleet.assign('a', { model: 'digits', objective: { p95Ms: 20 } })
  await fleet.assign('a', { model: 'digits', version: 1 })
  const last = (await orders(device, 'a')).at(-1)
  t.match(last, {
    revision: 2,
    model: 'digits',
    version: 1,
    catalogueSequence: 1,
    objective: { maximise: 'accuracy' },
  })
  t.match(fleet.device('a').assigned, { model: 'digits', revision: 2 })
  const objective = { maximise: 'speed' as const, top1: 0.9 }
  await fleet.assign('a', { model: 'digits', objective })
  t.match((await device.messages('/desired', 2)).map((bytes) => order(bytes, 'a')).at(-1), { objective })
  await t.rejects(fleet.assign('a', { model: 'digits', version: 9 }), { code: 'CATALOGUE_UNKNOWN' })
  await t.rejects(fleet.assign('b', { model: 'digits' }), { code: 'DEVICE_UNKNOWN' })
  t.equal(fleet.device('a').assigned?.revision, 3, 'what was refused changed nothing')
})

t.test('what was offered a moment ago can be assigned: its catalogue is waited for', async (t) => {
  const { fleet, offer, catalogues } = await centre(t)
  fleet.admission.create({ id: 'a' })
  fleet.setGroup('north', ['a'])
  offer('large', 20_000_000)
  const published = catalogues.publish('digits', 1)
  t.match(await fleet.assign('a', { model: 'digits' }), { assigned: { model: 'digits', version: 1 } })
  t.match(await fleet.assignGroup('north', { model: 'digits', version: 1 }), { devices: ['a'] })
  await published
})

t.test('a withdrawn variant brings a new catalogue and a new revision that names it', async (t) => {
  const { fleet, join, offers, catalogues, large } = await withVariants(t)
  const device = await join('a')
  await fleet.assign('a', { model: 'digits' })
  await orders(device, 'a')
  offers.pop()
  fleet.catalogueChanged(await catalogues.publish('digits', 1))
  const [, renewed] = await orders(device, 'a', 2)
  t.match(renewed, { revision: 2, catalogueSequence: 2, withdrawn: [large.digest] })
})

t.test('a group’s assignment holds for its devices, and for those who join later', async (t) => {
  const { fleet, join } = await withVariants(t)
  const [a, b] = [await join('a'), await join('b')]
  fleet.setGroup('north', ['a'])
  await fleet.assignGroup('north', { model: 'digits' })
  t.match(await orders(a, 'a'), [{ revision: 1, device: 'a' }])
  t.equal(fleet.device('b').assigned, null)
  t.same(fleet.setGroup('north', ['a', 'b']), { id: 'north', devices: ['a', 'b'] })
  t.match(await orders(b, 'b'), [{ revision: 1, device: 'b' }])
  t.equal(fleet.device('a').assigned?.revision, 1, 'who was there already is not told twice')
  fleet.admission.create({ id: 'c', groups: ['north'] })
  t.match(fleet.device('c'), { groups: ['north'], assigned: { model: 'digits' } })
  t.throws(() => fleet.setGroup('north', ['a', 'nobody']), { code: 'DEVICE_UNKNOWN' })
  t.same(fleet.group('north').devices, ['a', 'b', 'c'])
  await t.rejects(fleet.assignGroup('south', { model: 'digits' }), { code: 'GROUP_UNKNOWN' })
})

t.test('devices and groups are read page by page', async (t) => {
  const { fleet } = await centre(t)
  for (const id of ['a', 'b', 'c']) fleet.admission.create({ id, groups: [`g-${id}`] })
  const first = fleet.devices({ limit: 2 })
  t.same(
    first.items.map(({ id }) => id),
    ['a', 'b'],
  )
  t.same(
    fleet.devices({ limit: 2, cursor: String(first.next) }).items.map(({ id }) => id),
    ['c'],
  )
  t.equal(fleet.groups({ limit: 2 }).items.length, 2)
})

t.test('a log is kept if it was asked for, the newest alone', async (t) => {
  const { fleet, join } = await centre(t)
  const device = await join('a')
  const send = (n: number, text: string) =>
    device.client.publishAsync(topic('logs', { device: 'a' }), encode(logs, { n, at: 1, text }), { qos: 1 })
  await send(1, 'unasked')
  fleet.command('a', { action: 'benchmark' })
  await send(1, 'unasked')
  t.equal(fleet.logs('a'), null)
  for (const text of ['first', 'second']) await send(fleet.command('a', { action: 'logs' }).n, text)
  t.same(fleet.logs('a'), { n: 3, at: 1, text: 'second' })
})

t.test('a command waits for its device and is sent until it is acknowledged', async (t) => {
  const { fleet, join } = await centre(t)
  const device = await join('a')
  t.same(fleet.command('a', { action: 'benchmark' }), { n: 1 })
  await device.client.subscribeAsync(topic('command', { device: 'a', n: 1 }).replace(/1$/, '+'))
  const say = () =>
    device.client.publishAsync(
      topic('presence', { device: 'a' }),
      encode(presence, { online: true, epoch: 1 }),
      { qos: 1 },
    )
  await say()
  await device.messages('commands/1', 1)
  await device.client.publishAsync(
    topic('commandAck', { device: 'a', n: 1 }),
    '{"n":1,"done":true,"error":null}',
    { qos: 1 },
  )
  const before = device.received.length
  await say()
  await device.client.publishAsync(topic('facts', { device: 'a' }), encode(facts, known), { qos: 1 })
  t.equal(device.received.length, before)
})

t.test('after a restart every device finds its order again', async (t) => {
  const first = await withVariants(t)
  const { password } = first.fleet.admission.create({ id: 'a' })
  await first.fleet.assign('a', { model: 'digits' })
  await first.broker.close()
  const second = await centre(t, { db: first.db, folder: first.folder })
  t.equal(second.fleet.device('a').online, false)
  const device = await connectDevice(second.broker.url, 'a', password)
  t.teardown(() => device.client.end(true))
  t.match(await orders(device, 'a'), [{ revision: 1, model: 'digits' }])
})
