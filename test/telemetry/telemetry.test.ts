import { appendFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { openDatabase } from '@espalier/server/store/index.js'
import { ReportStore } from '@espalier/server/telemetry/index.js'
import { encode, parse, type Report, reports, reportsAck } from '@espalier/shared/messages/index.js'
import { topic } from '@espalier/shared/topics.js'
import t from 'tap'
import { centre, reportOf } from '../support/centre.js'
import { connectDevice, type TestDevice } from '../support/mqtt.js'
import { smallDisk } from '../support/small-disk.js'

const publish = (device: TestDevice, id: string, n: number, list: Report[]) =>
  device.client.publishAsync(topic('reports', { device: id, n }), encode(reports, { reports: list }), {
    qos: 1,
  })

const acked = async (device: TestDevice, count = 1) =>
  (await device.messages('reports/ack', count)).map((bytes) => parse(reportsAck, bytes))

t.test('a report is committed when it is acknowledged, by the broker and by name', async (t) => {
  const { join, telemetry } = await centre(t)
  const device = await join('a')
  await device.client.subscribeAsync(topic('reportsAck', { device: 'a' }))
  await publish(device, 'a', 1, [reportOf('a', 'r1'), reportOf('a', 'r2')])
  t.equal(telemetry.reports({}).items.length, 2, 'PUBACK means stored')
  t.same(await acked(device), [{ stored: ['r1', 'r2'] }])
})

t.test(
  'a report that comes again, also after a restart, is stored once and acknowledged again',
  async (t) => {
    const first = await centre(t)
    const { password } = first.fleet.admission.create({ id: 'a' })
    const news: string[] = []
    first.events.watch((event) => void (event.type === 'report.stored' && news.push(event.report)))
    const device = await connectDevice(first.broker.url, 'a', password)
    for (let n = 0; n < 3; n++) await publish(device, 'a', n, [reportOf('a', 'r1')])
    t.same(news, ['r1'])
    device.client.end(true)
    await first.broker.close()
    const second = await centre(t, { db: first.db, folder: first.folder })
    const again = await connectDevice(second.broker.url, 'a', password)
    t.teardown(() => again.client.end(true))
    await again.client.subscribeAsync(topic('reportsAck', { device: 'a' }))
    await publish(again, 'a', 9, [reportOf('a', 'r1'), reportOf('a', 'r2')])
    t.same(await acked(again), [{ stored: ['r1', 'r2'] }])
    t.same(
      second.telemetry
        .reports({})
        .items.map(({ id }) => id)
        .sort(),
      ['r1', 'r2'],
    )
  },
)

t.test('a device that reports without end keeps its newest, and takes nothing from others', async (t) => {
  const { db, events } = await centre(t)
  const bounded = new ReportStore(db, events, Date.now, 100)
  await bounded.add([reportOf('b', 'first')])
  for (let i = 0; i < 50; i++)
    await bounded.add(Array.from({ length: 10 }, (_, k) => reportOf('a', `r${1000 + 10 * i + k}`)))
  const ids = db.prepare('SELECT id FROM reports WHERE device = ? ORDER BY rowid').pluck()
  const left = ids.all('a') as string[]
  t.ok(left.length >= 100 && left.length < 110, `${left.length} are left`)
  t.equal(left.at(-1), 'r1499')
  t.equal(left[0], `r${1500 - left.length}`, 'without a gap')
  t.same(ids.all('b'), ['first'])
})

t.test('reports that were stored long ago are removed, however many, and no other', async (t) => {
  const { db, reports, telemetry } = await centre(t)
  const ids = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, i) => reportOf('a', `r${from + i}`))
  await reports.add(ids(0, 12_000))
  db.prepare('UPDATE reports SET receivedAt = rowid').run()
  t.equal(await reports.forget(0), 0)
  t.equal(await reports.forget(11_001), 11_000)
  const left = telemetry.reports({ limit: 5000 }).items.map(({ id }) => id)
  t.same(
    left.sort(),
    ids(11_000, 12_000)
      .map(({ id }) => id)
      .sort(),
  )
  t.equal(await reports.forget(Date.now()), 1000)
  await reports.add(ids(0, 1))
  t.equal(telemetry.reports({}).items.length, 1, 'and it goes on')
})

t.test(
  'a report without form, or of another device, is refused by name and the good ones beside it are stored',
  async (t) => {
    const { join, telemetry } = await centre(t)
    const device = await join('a')
    await device.client.subscribeAsync(topic('reportsAck', { device: 'a' }))
    const list = [reportOf('a', 'good'), reportOf('b', 'foreign'), { ...reportOf('a', 'odd'), p50Ms: -1 }]
    await device.client.publishAsync(
      topic('reports', { device: 'a', n: 1 }),
      JSON.stringify({ reports: list }),
      { qos: 1 },
    )
    const [ack] = await acked(device)
    t.same(ack.stored, ['good'])
    t.match(ack.refused, [
      { id: 'foreign', code: 'MESSAGE_INVALID' },
      { id: 'odd', message: /p50Ms/ },
    ])
    t.same(
      telemetry.reports({}).items.map(({ id }) => id),
      ['good'],
    )
  },
)

t.test('two devices may use the same id for different reports', async (t) => {
  const { reports: store, telemetry } = await centre(t)
  await store.add([reportOf('a', 'r1'), reportOf('b', 'r1')])
  t.equal(telemetry.reports({}).items.length, 2)
})

t.test('a thousand reports sent at once are all stored', async (t) => {
  const { join, telemetry } = await centre(t)
  const device = await join('a')
  await Promise.all(Array.from({ length: 1000 }, (_, n) => publish(device, 'a', n, [reportOf('a', `r${n}`)])))
  t.equal(telemetry.latency({ by: 'device' }).items[0].reports, 1000)
})

t.test('when the database fails nothing is acknowledged, and it works again afterwards', async (t) => {
  const { reports: store, telemetry, db } = await centre(t)
  db.exec(
    "CREATE TRIGGER full BEFORE INSERT ON reports WHEN NEW.id = 'bad' BEGIN SELECT RAISE(ABORT, 'no'); END",
  )
  const batch = await Promise.allSettled([
    store.add([reportOf('a', 'good')]),
    store.add([reportOf('a', 'bad')]),
  ])
  t.same(
    batch.map(({ status }) => status),
    ['rejected', 'rejected'],
  )
  t.same(telemetry.reports({}).items, [])
  await store.add([reportOf('a', 'good')])
  t.equal(telemetry.reports({}).items.length, 1)
})

t.test(
  'latency is the median over reports, by device, board, model and variant, within a time range',
  async (t) => {
    const { reports: store, telemetry } = await centre(t)
    const at = Date.UTC(2026, 0, 1)
    await store.add([
      reportOf('a', '1', { p50Ms: 1, p95Ms: 10, at }),
      reportOf('a', '2', { p50Ms: 3, p95Ms: null, at: at + 1000 }),
      reportOf('a', '3', { p50Ms: 9, p95Ms: 20, at: at + 2000 }),
      reportOf('b', '4', { p50Ms: 4, p95Ms: null, board: 'Jetson Orin Nano', at }),
    ])
    t.match(telemetry.latency({ by: 'device' }), {
      by: 'device',
      items: [
        { key: 'a', reports: 3, p50Ms: 3, p95Ms: 15, p99Ms: null },
        { key: 'b', reports: 1, p50Ms: 4, p95Ms: null },
      ],
    })
    t.match(
      telemetry.latency({ by: 'board' }).items.map(({ key }) => key),
      ['Jetson Orin Nano', 'Raspberry Pi 4 Model B'],
    )
    t.match(telemetry.latency({ by: 'variant' }).items, [{ reports: 4, p50Ms: 3.5 }])
    t.match(telemetry.latency({ by: 'model', device: 'a', from: at, to: at + 2000 }).items, [
      { key: 'digits', reports: 2, p50Ms: 2 },
    ])
    t.same(telemetry.latency({ board: "x' OR 1=1" }).items, [])
  },
)

t.test('a report of a device whose clock is wrong counts for when it came', async (t) => {
  const now = Date.UTC(2026, 5, 1)
  const { reports: store, telemetry } = await centre(t, { now: () => now })
  await store.add([reportOf('a', 'past', { at: 5 }), reportOf('a', 'future', { at: now * 2 })])
  t.same(
    telemetry.reports({}).items.map(({ at }) => at),
    [now, now],
  )
})

t.test('the latest reports are what each device measured last of each variant', async (t) => {
  const { reports, telemetry } = await centre(t)
  const at = Date.UTC(2026, 0, 1)
  const variant = 'cd'.repeat(32)
  await reports.add([
    reportOf('a', 'a2', { at: at + 2 }),
    reportOf('a', 'a1', { at: at + 1 }),
    reportOf('a', 'other-variant', { at, variant }),
    reportOf('a', 'other-version', { at, variant, version: 2 }),
    reportOf('b', 'b1', { at }),
    reportOf('b', 'b2', { at: at + 1, p50Ms: 7 }),
  ])
  const ids = (query: Parameters<typeof telemetry.reports>[0]) =>
    telemetry.reports({ latest: true, ...query }).items.map(({ id }) => id)
  t.same(ids({ version: 1 }), ['b2', 'other-variant', 'a2'])
  t.same(ids({ version: 1, device: 'a' }), ['other-variant', 'a2'])
  const { items, next } = telemetry.reports({ latest: true, version: 1, limit: 2 })
  t.same(
    items.map(({ id }) => id),
    ['b2', 'other-variant'],
  )
  t.same(ids({ version: 1, limit: 2, cursor: next ?? '' }), ['a2'])
})

t.test('reports are read newest first, page by page', async (t) => {
  const { reports: store, telemetry } = await centre(t)
  await store.add(['1', '2', '3'].map((id) => reportOf('a', id)))
  const first = telemetry.reports({ limit: 2 })
  t.same(
    first.items.map(({ id }) => id),
    ['3', '2'],
  )
  t.same(
    telemetry.reports({ limit: 2, cursor: String(first.next) }).items.map(({ id }) => id),
    ['1'],
  )
})

t.test('with the disk full a report is not acknowledged, and is stored once there is room', async (t) => {
  const disk = smallDisk(t, '2m')
  if (!disk) return t.pass('a full disk', { skip: 'mounting a small tmpfs needs root' })
  const db = openDatabase(join(disk, 'espalier.db'))
  t.teardown(() => db.close())
  const { fleet, broker, telemetry, log } = await centre(t, { db })
  const { password } = fleet.admission.create({ id: 'a' })
  const ballast = join(disk, 'ballast')
  t.throws(
    () => {
      for (;;) appendFileSync(ballast, Buffer.alloc(4096))
    },
    { code: 'ENOSPC' },
  )
  const many = Array.from({ length: 60 }, (_, n) => reportOf('a', `r${n}`))
  const device = await connectDevice(broker.url, 'a', password)
  const closed = new Promise<void>((resolve) => device.client.once('close', () => resolve()))
  publish(device, 'a', 1, many).catch(() => undefined)
  await closed
  t.ok(log.codes().includes('DISK_FULL'))
  t.same(telemetry.reports({}).items, [])
  rmSync(ballast)
  const again = await connectDevice(broker.url, 'a', password)
  t.teardown(() => again.client.end(true))
  await publish(again, 'a', 2, many)
  t.equal(telemetry.latency({ by: 'device' }).items[0].reports, 60)
})
