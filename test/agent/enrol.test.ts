import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { patience } from '../support/patience.js'
import { networkBytes } from './support/models.js'
import { AgentProcess, runAgent } from './support/process.js'
import { fill, ServiceProcess } from './support/service-process.js'

async function setUp(t: Test) {
  const folder = t.testdir({ data: {} })
  const data = join(folder, 'data')
  await fill(data, networkBytes(64), [])
  const service = new ServiceProcess(data)
  t.teardown(() => service.end())
  await service.start()
  const file = join(folder, 'credential.json')
  const code = async (body: object = {}) =>
    String((await service.call('POST', '/enrolment-tokens', body)).body.code)
  return { service, folder, file, code }
}

async function until<T>(look: () => Promise<T | false>): Promise<T> {
  for (const end = Date.now() + 30_000 * patience; Date.now() < end; ) {
    const found = await look()
    if (found) return found
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`never: ${look}`)
}

t.test('a device enrols by a code, runs, and takes a new password while it runs', async (t) => {
  const { service, file, code } = await setUp(t)
  const words = ['enrol', await code({ group: 'hall' }), '--credential', file]
  t.match(await runAgent(...words, '--id', 'pi-1'), { status: 0, stdout: /enrolled as pi-1/ })
  for (const secret of [file, `${file}.key`]) t.equal(statSync(secret).mode & 0o777, 0o600)
  t.match(await runAgent(...words), { status: 2, stderr: /has enrolled/ }, 'not by accident again')
  t.match(await runAgent(...words, '--force'), { status: 0, stdout: /enrolled as pi-1/ }, 'but when asked to')

  const agent = new AgentProcess(JSON.parse(readFileSync(file, 'utf8')))
  t.teardown(() => agent.end('SIGKILL'))
  agent.start()
  const online = async () => (await service.call('GET', '/devices/pi-1')).body.online === true
  await until(online)
  t.equal((await service.call('POST', '/devices/pi-1/rotate')).status, 202)
  const renewed = join(agent.state, 'credential.json')
  await until(async () => existsSync(renewed))
  await until(async () => agent.log.match(/connected to/g)?.length === 2 && online())
  t.equal(statSync(renewed).mode & 0o777, 0o600)
  const before = JSON.parse(readFileSync(file, 'utf8')).password
  t.not(JSON.parse(readFileSync(renewed, 'utf8')).password, before)
  await agent.end()
  agent.start()
  await until(async () => agent.log.match(/connected to/g)?.length === 3)
  t.pass('and uses it after a restart')

  t.equal((await service.call('POST', '/devices/pi-1/revoke')).status, 200)
  await until(async () => agent.log.includes('CREDENTIAL_INVALID'))
  t.equal((await service.call('DELETE', '/devices/pi-1')).status, 204)
  t.match(await service.call('GET', '/devices/pi-1'), { status: 404 })
})

t.test('a code that is wrong, used or meant for nobody is refused with a reason', async (t) => {
  const { file, code, folder } = await setUp(t)
  const once = await code()
  t.match(await runAgent('enrol', once, '--credential', file), { status: 0 })
  const other = join(folder, 'other.json')
  t.match(await runAgent('enrol', once, '--credential', other), {
    status: 1,
    stderr: /ENROLMENT_REFUSED: .*tokens create/,
  })
  t.notOk(existsSync(other))
  t.match(await runAgent('enrol', 'nonsense', '--credential', other), {
    status: 2,
    stderr: /no enrolment code/,
  })
  t.match(await runAgent('enrol', once), { status: 2, stderr: /--credential FILE/ })
  t.match(await runAgent('enrol', once, '--credential', join(folder, 'no/where.json')), {
    status: 1,
    stderr: /WRITE_FAILED/,
  })
  const away = JSON.parse(Buffer.from(once, 'base64url').toString())
  const elsewhere = Buffer.from(JSON.stringify({ ...away, broker: 'mqtt://127.0.0.1:1' })).toString(
    'base64url',
  )
  t.match(await runAgent('enrol', elsewhere, '--credential', other), {
    status: 1,
    stderr: /BROKER_UNREACHABLE/,
  })
  writeFileSync(`${other}.key`, 'no key')
  t.match(await runAgent('enrol', once, '--credential', other), { status: 1, stderr: /KEY_INVALID/ })
})
