import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { readConfig } from '@espalier/server/config.js'
import { startService } from '@espalier/server/main.js'
import { openDatabase } from '@espalier/server/store/index.js'
import pino from 'pino'
import t, { type Test } from 'tap'
import { connectDevice } from './support/mqtt.js'
import { call } from './support/service.js'
import { smallDisk } from './support/small-disk.js'
import { tinyOnnx } from './support/tiny.js'

const log = pino({ level: 'silent' })

const start = (data: string, flags: Record<string, string> = {}) =>
  startService(readConfig({ data, port: '0', mqttPort: '0', ...flags }, {}), log)

async function taken(t: Test): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  t.teardown(() => server.close())
  await pause(50)
  const address = server.address()
  return typeof address === 'object' && address ? address.port : 0
}

t.test(
  'a device registered over HTTP connects over MQTT and is seen online, and only with its password',
  async (t) => {
    const service = await start(t.testdir())
    t.teardown(service.close)
    const { status, body } = await call(service.url, 'POST', '/v1/devices', {
      id: 'pi-1',
      groups: ['kitchen'],
    })
    t.equal(status, 201)
    t.match(body, { id: 'pi-1', password: /.{40}/, broker: service.mqttUrl, servicePublicKey: /.{40}/ })
    await t.rejects(connectDevice(service.mqttUrl, 'pi-1', 'guess'))
    const device = await connectDevice(service.mqttUrl, 'pi-1', String(body.password))
    await device.client.publishAsync(
      'espalier/v1/devices/pi-1/presence',
      JSON.stringify({ online: true, epoch: 1 }),
      { qos: 1, retain: true },
    )
    t.match((await call(service.url, 'GET', '/v1/devices/pi-1')).body, { online: true, groups: ['kitchen'] })
    t.match((await call(service.url, 'GET', '/v1/groups')).body.items, [{ id: 'kitchen', devices: ['pi-1'] }])
    t.match(await call(service.url, 'POST', '/v1/devices', { id: 'pi-1' }), {
      status: 409,
      body: { code: 'DEVICE_EXISTS' },
    })
    device.client.end(true)
  },
)

t.test('a token file that was emptied stops the service, and does not open it', async (t) => {
  const data = t.testdir({ token: '\n' })
  await t.rejects(start(data), { code: 'CONFIG_INVALID', message: /token is empty; remove it/ })
})

t.test('what was stored is there again after a restart, and the key is the same', async (t) => {
  const data = t.testdir()
  const first = await start(data)
  await call(first.url, 'POST', '/v1/models', { id: 'm' })
  await call(first.url, 'POST', '/v1/models/m/versions', tinyOnnx)
  const { body: one } = await call(first.url, 'POST', '/v1/devices', { id: 'one' })
  await first.close()
  const second = await start(data)
  t.teardown(second.close)
  t.match((await call(second.url, 'GET', '/v1/models/m')).body, { latest: 1 })
  const { body: two } = await call(second.url, 'POST', '/v1/devices', { id: 'two' })
  t.equal(two.servicePublicKey, one.servicePublicKey)
  t.equal((await call(second.url, 'GET', '/readyz')).status, 200)
})

t.test('a taken port is said by its number, and nothing keeps running', async (t) => {
  const port = String(await taken(t))
  const data = t.testdir()
  await t.rejects(start(data, { port }), { code: 'PORT_TAKEN', message: new RegExp(port) })
  await t.rejects(start(data, { mqttPort: port }), { code: 'PORT_TAKEN', message: new RegExp(port) })
  const service = await start(data)
  await service.close()
})

t.test('a database from a newer version and a data folder that cannot be are refused', async (t) => {
  const data = t.testdir({ file: '' })
  const db = openDatabase(join(data, 'espalier.db'))
  db.pragma('user_version = 9999')
  db.close()
  await t.rejects(start(data), { code: 'DATABASE_NEWER' })
  await t.rejects(start(join(data, 'file')), { code: 'CONFIG_INVALID', message: /--data/ })
})

t.test('a full disk refuses what does not fit, changes nothing, and the service goes on', async (t) => {
  const data = smallDisk(t, '2m')
  if (!data) {
    t.pass('a full disk', { skip: 'mounting a small tmpfs needs root' })
    return
  }
  const service = await start(data)
  await call(service.url, 'POST', '/v1/models', { id: 'm' })
  const upload = await call(service.url, 'POST', '/v1/models/m/versions', new Uint8Array(3_000_000))
  t.match(upload, { status: 507, body: { code: 'DISK_FULL', detail: /free some space/ } })
  t.match((await call(service.url, 'GET', '/v1/models/m')).body, { latest: null })
  const small = await call(service.url, 'POST', '/v1/models/m/versions', tinyOnnx)
  t.match(small, { status: 201, body: { version: 1 } }, 'what fits is still taken')
  await service.close()
})

t.test('a second service on the same folder is refused, and the first goes on', async (t) => {
  const data = t.testdir()
  const first = await start(data)
  await t.rejects(start(data), { code: 'STATE_LOCKED', message: /--data/ })
  t.equal((await call(first.url, 'GET', '/readyz')).status, 200)
  await first.close()
  const next = await start(data)
  await next.close()
})
