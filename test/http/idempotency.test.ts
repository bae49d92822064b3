import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { call } from '../support/service.js'
import { ServiceProcess } from '../support/up.js'

/** Whether any of the database's files holds the text. */
const holds = (folder: string, text: string) =>
  readdirSync(folder)
    .filter((name) => name.startsWith('espalier.db'))
    .some((name) => readFileSync(join(folder, name)).includes(text))

t.test('secrets are answered again to a repeated request, and lie nowhere in the database', async (t) => {
  const folder = t.testdir()
  const service = new ServiceProcess(folder)
  t.teardown(() => service.kill())
  await service.start()
  const key = (name: string) => ({ 'idempotency-key': name })
  const device = () => call(service.url, 'POST', '/v1/devices', { id: 'pi' }, key('device'))
  const token = () => call(service.url, 'POST', '/v1/enrolment-tokens', { uses: 3 }, key('token'))
  const [first, code] = [await device(), await token()]
  t.same([first.status, code.status], [201, 201])
  t.ok(holds(folder, 'pi'), 'the files looked at are the right ones')
  const secrets = [String(first.body.password), String(code.body.code)]
  t.ok(secrets.every((s) => s.length > 20))
  for (const secret of secrets) t.notOk(holds(folder, secret))
  t.same([await device(), await token()], [first, code])
  await service.kill()
  await service.start()
  t.same(await device(), first, 'also by the service started anew')
  await service.kill()
  rmSync(join(folder, 'service.secret'))
  await service.start()
  t.match(await device(), {
    status: 422,
    body: { code: 'IDEMPOTENCY_KEY_REUSED', detail: /no longer be read/ },
  })
})
