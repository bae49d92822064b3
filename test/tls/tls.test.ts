import { X509Certificate } from 'node:crypto'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { Client } from '@espalier/server/cli/client.js'
import { readConfig } from '@espalier/server/config.js'
import { startService } from '@espalier/server/main.js'
import { certificates } from '@espalier/server/tls/certificates.js'
import mqtt from 'mqtt'
import pino from 'pino'
import t, { type Test } from 'tap'
import { AgentProcess, runAgent } from '../agent/support/process.js'

async function serve(t: Test, data: string, flags: Record<string, string> = {}) {
  const ports = { port: '0', mqttPort: '0', tlsPort: '0', mqttsPort: '0' }
  const config = readConfig({ data, ...ports, tls: 'own', tlsName: 'localhost', ...flags }, {})
  const service = await startService(config, pino({ level: 'silent' }))
  t.teardown(() => service.close())
  const ca = join(data, 'tls/ca.pem')
  return {
    ...service,
    ca,
    secureUrl: String(service.secureUrl),
    token: readFileSync(join(data, 'token'), 'utf8'),
  }
}

t.test('other machines are served with TLS, by an authority made on first use', async (t) => {
  const data = t.testdir()
  const { url, secureUrl, mqttUrl, ca, close } = await serve(t, data)
  t.match(secureUrl, /^https:\/\/localhost:\d+$/)
  t.match(mqttUrl, /^mqtts:\/\/localhost:\d+$/)
  for (const name of ['ca', 'server']) t.equal(statSync(join(data, `tls/${name}.key`)).mode & 0o777, 0o600)
  await t.rejects(new Client({ server: secureUrl }).get('/v1/devices'), { code: 'SERVICE_UNREACHABLE' })
  t.same(await new Client({ server: secureUrl, ca }).get('/v1/devices'), { items: [], next: null })
  t.same(
    await new Client({ server: url }).get('/v1/devices'),
    { items: [], next: null },
    'loopback needs neither',
  )
  t.throws(() => new Client({ server: secureUrl, ca: `${ca}.not` }), { code: 'FILE_NOT_FOUND' })

  const { id, password } = await new Client({ server: secureUrl, ca }).send<{ id: string; password: string }>(
    'POST',
    '/v1/devices',
    { id: 'pi-1' },
  )
  const login = { clientId: id, username: id, password, reconnectPeriod: 0 }
  const device = await mqtt.connectAsync(mqttUrl, { ...login, ca: readFileSync(ca) })
  await device.endAsync()
  await t.rejects(
    mqtt.connectAsync(mqttUrl, login),
    /certificate/,
    'who does not know the authority does not connect',
  )
  await t.rejects(
    mqtt.connectAsync(mqttUrl.replace('mqtts', 'mqtt'), { ...login, connectTimeout: 2000 }, false),
  )

  await close()
  const again = await serve(t, data)
  t.equal(readFileSync(again.ca, 'utf8'), readFileSync(ca, 'utf8'), 'a restart keeps the authority')
})

t.test('old versions of TLS are refused', async (t) => {
  const { secureUrl, ca } = await serve(t, t.testdir())
  const socket = connect({
    ...{ host: 'localhost', port: Number(new URL(secureUrl).port), ca: readFileSync(ca) },
    ...{ minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' },
  })
  await t.rejects(new Promise((_, reject) => socket.once('error', reject)), /alert|protocol/i)
})

t.test('an agent enrols and runs through TLS, and does not speak to another service', async (t) => {
  const folder = t.testdir({ data: {}, other: {} })
  const { url, close } = await serve(t, join(folder, 'data'))
  const { code } = await new Client({ server: url }).send<{ code: string }>(
    'POST',
    '/v1/enrolment-tokens',
    {},
  )
  const file = join(folder, 'credential.json')
  t.match(await runAgent('enrol', code, '--credential', file, '--id', 'pi-1'), { status: 0 })
  t.match(JSON.parse(readFileSync(file, 'utf8')), { broker: /^mqtts:/, ca: /BEGIN CERTIFICATE/ })
  const agent = new AgentProcess(JSON.parse(readFileSync(file, 'utf8')))
  t.teardown(() => agent.end('SIGKILL'))
  agent.start()
  const online = async () =>
    (await new Client({ server: url }).get<{ online: boolean }>('/v1/devices/pi-1')).online
  while (!(await online())) await new Promise((resolve) => setTimeout(resolve, 50))
  await agent.end()
  await close()

  const impostor = await serve(t, join(folder, 'other'))
  const fooled = new AgentProcess({ ...JSON.parse(readFileSync(file, 'utf8')), broker: impostor.mqttUrl })
  t.teardown(() => fooled.end('SIGKILL'))
  fooled.start()
  while (!fooled.log.includes('BROKER_UNREACHABLE')) await new Promise((resolve) => setTimeout(resolve, 50))
  t.match(fooled.log, /certificate/)
  t.notMatch(fooled.log, /connected to/)
})

t.test(
  'certificates of our own are renewed with age and with names; foreign files are checked',
  async (t) => {
    const folder = join(t.testdir(), 'tls')
    const day = 24 * 3600 * 1000
    const serial = (cert: string) => new X509Certificate(cert).serialNumber
    const first = await certificates('own', folder, ['a.lan'])
    t.equal(new X509Certificate(first.cert).checkHost('a.lan'), 'a.lan')
    t.equal(serial((await certificates('own', folder, ['a.lan'])).cert), serial(first.cert))
    const named = await certificates('own', folder, ['b.lan', '10.9.8.7'])
    t.equal(new X509Certificate(named.cert).checkIP('10.9.8.7'), '10.9.8.7')
    const later = await certificates('own', folder, ['b.lan'], Date.now() + 320 * day)
    t.not(serial(later.cert), serial(named.cert))
    t.equal(later.ca, first.ca, 'by the same authority')

    const file = (name: string) => join(folder, name)
    const given = await certificates(`${file('server.pem')},${file('server.key')}`, folder, [])
    t.equal(given.ca, null, 'everybody is taken to know who vouches for it')
    const refused = (setting: string, message: RegExp) =>
      t.rejects(certificates(setting, folder, []), { code: 'CONFIG_INVALID', message })
    await refused(`${file('server.pem')},${file('ca.key')}`, /ca.key is not the key of/)
    await refused(`${file('none.pem')},${file('ca.key')}`, /none.pem cannot be read/)
    writeFileSync(file('junk.pem'), 'junk')
    await refused(`${file('junk.pem')},${file('ca.key')}`, /junk.pem holds no certificate/)
    await refused(`${file('server.pem')},${file('junk.pem')}`, /junk.pem holds no private key/)
    for (const tls of ['yes', 'a,', 'a,b,c,d'])
      t.throws(() => readConfig({ tls }, {}), { code: 'CONFIG_INVALID' }, tls)
    t.throws(() => readConfig({ tlsName: 'no name' }, {}), { code: 'CONFIG_INVALID' })
    t.ok(existsSync(file('server.pem')))
  },
)
