import { request } from 'node:http'
import { networkInterfaces } from 'node:os'
import { buildApp } from '@espalier/server/http/app.js'
import pino from 'pino'
import t from 'tap'
import { call, listen } from '../support/service.js'

/** A request with exactly these headers; fetch would not let us lie about Host. */
function status(url: string, headers: Record<string, string>): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    request(url, { headers }, (response) => {
      response.resume()
      resolve(response.statusCode)
    })
      .on('error', reject)
      .end()
  })
}

t.test('only local names and addresses are served, and only to pages of their own', async (t) => {
  const { url, close } = await listen(t.testdir())
  t.teardown(close)
  const { port } = new URL(url)
  const models = `${url}/v1/models`
  t.equal(await status(models, { host: `localhost:${port}` }), 200)
  t.equal(await status(models, { host: `[::1]:${port}` }), 200)
  t.equal(await status(models, { host: 'evil.example' }), 421)
  t.equal(await status(models, { host: `127.0.0.1:${port}`, origin: `http://127.0.0.1:${port}` }), 200)
  t.equal(await status(models, { host: `127.0.0.1:${port}`, origin: 'http://evil.example' }), 403)
  t.equal(await status(models, { host: `127.0.0.1:${port}`, origin: 'null' }), 403)
})

const address = Object.values(networkInterfaces())
  .flat()
  .find((i) => i && !i.internal && i.family === 'IPv4')?.address

t.test(
  'callers from beyond loopback need the token',
  { skip: !address && 'this machine has no other address' },
  async (t) => {
    const { parts, close } = await listen(t.testdir())
    t.teardown(close)
    const app = await buildApp({
      parts,
      logger: pino({ level: 'silent' }),
      dashboard: '/none',
      token: 'secret',
    })
    t.teardown(() => app.close())
    const { port } = new URL(await app.listen({ port: 0, host: '0.0.0.0' }))
    const url = `http://${address}:${port}`
    t.match(await call(url, 'GET', '/v1/models'), { status: 401, body: { code: 'TOKEN_INVALID' } })
    const wrong = { authorization: 'Bearer wrong!' }
    t.equal((await call(url, 'GET', '/v1/models', undefined, wrong)).status, 401)
    const bearer = { authorization: 'Bearer secret' }
    t.equal((await call(url, 'GET', '/v1/models', undefined, bearer)).status, 200)
    const basic = { authorization: `Basic ${Buffer.from('me:secret').toString('base64')}` }
    t.equal((await call(url, 'GET', '/v1/models', undefined, basic)).status, 200, 'as browsers send it')
    t.equal((await call(url, 'GET', '/healthz')).status, 200, 'health is open')
    t.match(
      (await fetch(`${url}/v1/models`)).headers.get('www-authenticate'),
      /^Basic/,
      'a browser asks for it',
    )
  },
)

t.test(
  'an empty token lets nobody in',
  { skip: !address && 'this machine has no other address' },
  async (t) => {
    const { parts, close } = await listen(t.testdir())
    t.teardown(close)
    const app = await buildApp({ parts, logger: pino({ level: 'silent' }), dashboard: '/none', token: '' })
    t.teardown(() => app.close())
    const { port } = new URL(await app.listen({ port: 0, host: '0.0.0.0' }))
    for (const authorization of [undefined, 'Bearer ', 'Basic', 'Basic bWU6'])
      t.equal(
        await status(`http://${address}:${port}/v1/models`, authorization ? { authorization } : {}),
        401,
      )
  },
)

t.test('the API describes itself, with a problem for every failure', async (t) => {
  const { url, close } = await listen(t.testdir())
  t.teardown(close)
  t.equal((await fetch(`${url}/docs/`)).status, 200)
  const { body } = await call(url, 'GET', '/docs/json')
  const paths = body.paths as Record<string, Record<string, { summary?: string; responses: object }>>
  for (const path of ['/v1/models', '/v1/compilations/{id}', '/v1/devices', '/v1/latency', '/v1/events']) {
    t.ok(paths[path], path)
  }
  for (const [path, methods] of Object.entries(paths).filter(([p]) => p.startsWith('/v1'))) {
    for (const [method, { summary, responses }] of Object.entries(methods)) {
      t.ok(summary, `${method} ${path} has a summary`)
      t.hasProp(responses, 'default')
    }
  }
})

t.test('metrics are in the form that Prometheus reads', async (t) => {
  const { url, close } = await listen(t.testdir())
  t.teardown(close)
  await call(url, 'POST', '/v1/models', { id: 'm' })
  const text = await (await fetch(`${url}/metrics`)).text()
  t.match(text, /^espalier_models 1$/m)
  t.match(text, /^process_resident_memory_bytes \d+/m)
})
