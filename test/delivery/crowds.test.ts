import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { OutsideBroker } from '@espalier/server/broker/index.js'
import { listBlocks } from '@espalier/server/delivery/artifact-blocks.js'
import { BlockSet } from '@espalier/server/delivery/block-set.js'
import { BlockServer } from '@espalier/server/delivery/index.js'
import type { CatalogueVariant, ServicePresence } from '@espalier/shared/messages/index.js'
import { topicFilter } from '@espalier/shared/topics.js'
import { Aedes, type AedesOptions } from 'aedes'
import t, { type Test } from 'tap'
import { centre, offerOf } from '../support/centre.js'
import { FetchingDevice } from '../support/fetching.js'
import { Log } from '../support/mqtt.js'
import { Path } from '../support/path.js'

const crowd = { from: 4, joinMs: 50 }

/** Service and broker in one, with an artifact on offer. */
async function embedded(t: Test, bytes: number) {
  const { offer, catalogues, blocks, fleet, broker, artifacts } = await centre(t, { crowd })
  const { digest } = offer('large', bytes)
  await catalogues.publish('digits', 1)
  const password = (id: string) => fleet.admission.create({ id }).password
  return { blocks, url: broker.url, password, broker, variant: await variantOf(artifacts, digest) }
}

/** The service at a broker of somebody else's. */
async function outside(t: Test, bytes: number, options: AedesOptions = {}) {
  const aedes = await Aedes.createBroker(options)
  const server = createServer(aedes.handle).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `mqtt://127.0.0.1:${(server.address() as AddressInfo).port}`
  const log = new Log()
  const broker = new OutsideBroker({ url, log })
  const data = randomBytes(bytes)
  const digest = createHash('sha256').update(data).digest('hex')
  const folder = t.testdir()
  const artifacts = { path: (name: string) => join(folder, name) }
  writeFileSync(artifacts.path(digest), data)
  const variant = await variantOf(artifacts, digest)
  const blocks = new BlockServer({
    ...{ broker, artifacts, log, crowd },
    offered: (asked) => (asked === digest ? variant : undefined),
  })
  await broker.start()
  t.teardown(async () => {
    await broker.close()
    await new Promise<void>((resolve) => aedes.close(resolve))
    server.close()
  })
  return { blocks, url, password: () => 'x', variant, aedes }
}

async function variantOf(artifacts: { path(d: string): string }, digest: string): Promise<CatalogueVariant> {
  const { bytes, blockBytes, blocks } = await listBlocks(artifacts, digest)
  return { ...offerOf('large', digest), bytes, blockBytes, blocks: [...blocks] }
}

interface Place {
  readonly url: string | ((n: number) => string)
  readonly password: (id: string) => string
}

async function devices(
  t: Test,
  { url, password }: Place,
  count: number,
  settings: { patienceMs?: number; hears?: (said: ServicePresence) => ServicePresence } = {},
) {
  const made = Array.from({ length: count }, (_, n) => {
    const id = `d${n}`
    const folder = join(t.testdirName, id)
    mkdirSync(folder, { recursive: true })
    return new FetchingDevice({
      id,
      password: password(id),
      broker: typeof url === 'string' ? url : url(n),
      folder,
      ...settings,
    })
  })
  t.teardown(() => Promise.all(made.map((device) => device.stop())))
  return Promise.all(made.map((device) => device.connect()))
}

for (const [place, make] of [
  ['the embedded broker', embedded],
  ['an outside broker', outside],
] as const)
  t.test(`at ${place}, what many fetch at once goes out once for all`, async (t) => {
    const it = await make(t, 3_000_000)
    const fleet = await devices(t, it, 12)
    await Promise.all(fleet.map((device) => device.fetch(it.variant)))
    const all = 12 * it.variant.blocks.length
    t.ok(it.blocks.sent.forMany > 0.5 * it.variant.blocks.length, `${it.blocks.sent.forMany} went to many`)
    t.ok(it.blocks.sent.blocks < 0.5 * all, `${it.blocks.sent.blocks} blocks were sent, for ${all}`)
    const arrived = fleet.reduce((sum, device) => sum + device.arrived, 0)
    t.ok(arrived <= 1.5 * all, `${arrived} arrived`)
    t.same(
      fleet.flatMap((device) => device.damaged),
      [],
    )
  })

for (const [place, make] of [
  ['the embedded broker', embedded],
  ['an outside broker', outside],
] as const)
  t.test(`at ${place}, who is frozen or slow holds up nobody, and gets what it missed`, async (t) => {
    const it = await make(t, 12_000_000)
    const [still, narrow] = [await Path.to(it.url, {}), await Path.to(it.url, { bytesPerSecond: 4e6 })]
    t.teardown(() => {
      still.close()
      narrow.close()
    })
    const urls = [still.url(it.url), narrow.url(it.url), ...Array.from({ length: 8 }, () => it.url)]
    const [frozen, slow, ...free] = await devices(t, { ...it, url: (n) => urls[n] }, 10)
    const came: string[] = []
    const fetches = (name: string, device: FetchingDevice) =>
      device.fetch(it.variant).then(() => came.push(name))
    const thawed = fetches('frozen', frozen)
    while (frozen.requests.length === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    still.freeze()
    await Promise.all([...free.map((device) => fetches('free', device)), fetches('slow', slow)])
    t.equal(came.at(-1), 'slow')
    t.ok(it.blocks.sent.forMany > 0.5 * it.variant.blocks.length, `${it.blocks.sent.forMany} went to many`)
    still.thaw()
    await thawed
  })

t.test('three are too few to be a crowd, and are served each by itself', async (t) => {
  const it = await embedded(t, 1_000_000)
  const fleet = await devices(t, it, 3)
  await Promise.all(fleet.map((device) => device.fetch(it.variant)))
  t.match(it.blocks.sent, { blocks: 3 * it.variant.blocks.length, forMany: 0 })
})

t.test('one that comes when a pass is half over gets what it missed as well', async (t) => {
  const it = await outside(t, 12_000_000)
  const fleet = await devices(t, it, 9)
  const early = fleet.slice(0, 8).map((device) => device.fetch(it.variant))
  while (it.blocks.sent.forMany < 20) await new Promise((resolve) => setTimeout(resolve, 1))
  await fleet[8].fetch(it.variant)
  await Promise.all(early)
  t.ok(it.blocks.sent.blocks < 4 * it.variant.blocks.length, `${it.blocks.sent.blocks} blocks were sent`)
})

t.test('where the broker refuses the topic, or grants it and delivers nothing, all are served', async (t) => {
  const artifacts = topicFilter('artifact').replace('+/+', '')
  const refuses: AedesOptions = {
    authorizeSubscribe: (_client, subscription, done) =>
      done(null, subscription.topic.startsWith(artifacts) ? null : subscription),
  }
  const swallows: AedesOptions = {
    authorizeForward: (_client, packet) => (packet.topic.startsWith(artifacts) ? undefined : packet),
  }
  for (const options of [refuses, swallows]) {
    const it = await outside(t, 1_000_000, options)
    const fleet = await devices(t, it, 6, { patienceMs: 100 })
    await Promise.all(fleet.map((device) => device.fetch(it.variant)))
    t.ok(it.blocks.sent.blocks >= 6 * it.variant.blocks.length)
  }
})

t.test('an agent that hears nothing of passes neither listens nor asks for more than a window', async (t) => {
  const it = await embedded(t, 10_000_000)
  const old = await devices(t, it, 6, { hears: ({ online, epoch }) => ({ online, epoch }) })
  await Promise.all(old.map((device) => device.fetch(it.variant)))
  const requests = old.flatMap((device) => device.requests)
  t.ok(requests.every(({ listens, window }) => !listens && window <= 128))
  t.equal(it.blocks.sent.forMany, 0)
  t.equal(it.blocks.sent.blocks, 6 * it.variant.blocks.length)
})

t.test('a set of blocks', async (t) => {
  const set = new BlockSet(70)
  for (const index of [3, 64, 69, 70, 500]) set.add(index)
  t.equal(set.count, 3)
  t.same([set.next(), set.next(4), set.next(65), set.next(70)], [3, 64, 69, undefined])
  t.ok(set.delete(64))
  t.notOk(set.delete(64))
  t.equal(set.next(4), 69)
  set.clear()
  t.equal(set.next(), undefined)
})
