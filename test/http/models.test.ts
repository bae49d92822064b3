import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { node } from '@espalier/server/compiler/graph/index.js'
import t from 'tap'
import { call, listen } from '../support/service.js'
import { tinyOnnx as onnx, tinyWith } from '../support/tiny.js'

t.test('a model is registered, gets versions, and its file comes back as it went in', async (t) => {
  const { url, close } = await listen(t.testdir())
  t.teardown(close)
  t.match(await call(url, 'POST', '/v1/models', { id: 'tiny' }), {
    status: 201,
    body: { id: 'tiny', name: 'tiny', latest: null },
  })
  const uploaded = await call(url, 'POST', '/v1/models/tiny/versions', onnx)
  t.match(uploaded, {
    status: 201,
    body: {
      version: 1,
      fileBytes: onnx.length,
      facts: { params: 8, nodes: 1, opset: 17, ops: { MatMul: 1 } },
    },
  })
  t.equal((await call(url, 'POST', '/v1/models/tiny/versions', onnx)).body.version, 2)
  t.equal((await call(url, 'GET', '/v1/models/tiny')).body.latest, 2)
  const file = await fetch(`${url}/v1/models/tiny/versions/1/file`)
  t.same(new Uint8Array(await file.arrayBuffer()), onnx)
})

t.test('lists are read page by page, each entry once', async (t) => {
  const { url, close } = await listen(t.testdir())
  t.teardown(close)
  const ids = ['a', 'b', 'c', 'd', 'e']
  for (const id of ids.toReversed()) await call(url, 'POST', '/v1/models', { id })
  const seen: unknown[] = []
  let cursor: unknown = ''
  for (let pages = 0; cursor !== null; pages++) {
    t.ok(pages < 3, 'five entries by two are three pages')
    const query = cursor ? `&cursor=${cursor}` : ''
    const { body } = await call(url, 'GET', `/v1/models?limit=2${query}`)
    seen.push(...body.items.map((m) => m.id))
    cursor = body.next
  }
  t.same(seen, ids)
  t.match(await call(url, 'GET', '/v1/models?cursor=%25'), { status: 400, body: { code: 'CURSOR_INVALID' } })
  t.match(await call(url, 'GET', '/v1/models?limit=0'), { status: 400, body: { code: 'REQUEST_INVALID' } })
})

t.test('what is unknown, known already or wrong is a problem with a stable code', async (t) => {
  const { url, close } = await listen(t.testdir())
  t.teardown(close)
  await call(url, 'POST', '/v1/models', { id: 'm' })
  const cases = [
    ['GET', '/v1/models/nobody', undefined, 404, 'MODEL_UNKNOWN'],
    ['GET', '/v1/models/nobody/versions', undefined, 404, 'MODEL_UNKNOWN'],
    ['GET', '/v1/models/m/versions/3', undefined, 404, 'VERSION_UNKNOWN'],
    ['GET', '/v1/models/m/versions/x', undefined, 400, 'REQUEST_INVALID'],
    ['GET', '/v1/datasets/nobody', undefined, 404, 'DATASET_UNKNOWN'],
    ['GET', '/v1/variants/nobody', undefined, 404, 'VARIANT_UNKNOWN'],
    ['GET', '/v1/variants/nobody/artifact', undefined, 404, 'VARIANT_UNKNOWN'],
    ['GET', '/v1/compilations/nobody', undefined, 404, 'COMPILATION_UNKNOWN'],
    ['GET', '/v1/devices/nobody', undefined, 404, 'DEVICE_UNKNOWN'],
    ['GET', '/v1/nothing', undefined, 404, 'ROUTE_UNKNOWN'],
    ['POST', '/v1/models', { id: 'm' }, 409, 'MODEL_EXISTS'],
    ['POST', '/v1/models', { id: 'has space' }, 400, 'REQUEST_INVALID'],
    ['POST', '/v1/models', { id: 'x', colour: 'red' }, 400, 'REQUEST_INVALID'],
    ['POST', '/v1/models', [1], 400, 'REQUEST_INVALID'],
    ['POST', '/v1/models/nobody/versions', onnx, 404, 'MODEL_UNKNOWN'],
    ['POST', '/v1/models/m/versions', { a: 1 }, 415, 'MEDIA_TYPE_UNSUPPORTED'],
    ['POST', '/v1/models/m/versions', Buffer.from('not onnx'), 422, /NOT_ONNX|MODEL_INVALID/],
    ['POST', '/v1/models/m/versions', onnx.subarray(0, onnx.length / 2), 422, /NOT_ONNX|MODEL_INVALID/],
  ] as const
  for (const [method, path, body, status, code] of cases) {
    const answer = await call(url, method, path, body)
    t.match(answer, { status, body: { code, status, detail: /.{10}/ } }, `${method} ${path}`)
  }
  const syntax = await fetch(`${url}/v1/models`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"id":',
  })
  t.equal(syntax.headers.get('content-type'), 'application/problem+json')
  t.match(await syntax.json(), { code: 'REQUEST_INVALID', status: 400 })
  t.same((await call(url, 'GET', '/v1/models/m/versions')).body.items, [], 'nothing was stored')
})

t.test('an upload that is cut half way leaves nothing behind', async (t) => {
  const folder = t.testdir()
  const { url, close } = await listen(folder)
  t.teardown(close)
  await call(url, 'POST', '/v1/models', { id: 'm' })
  const incoming = join(folder, 'artifacts', 'incoming')
  const upload = request(`${url}/v1/models/m/versions`, {
    method: 'POST',
    headers: { 'content-type': 'application/octet-stream', 'content-length': 1_000_000 },
  })
  upload.on('error', () => {}) // we hang up ourselves
  upload.write(Buffer.alloc(300_000))
  while (readdirSync(incoming).length === 0) await pause(10)
  upload.destroy()
  while (readdirSync(incoming).length > 0) await pause(10)
  t.same(readdirSync(join(folder, 'artifacts')), ['incoming'])
  t.equal((await call(url, 'GET', '/v1/models/m')).body.latest, null)
})

t.test('an upload over the limit is refused and leaves nothing behind', async (t) => {
  const folder = t.testdir()
  const { url, close } = await listen(folder, { uploadBytes: 1000 })
  t.teardown(close)
  await call(url, 'POST', '/v1/models', { id: 'm' })
  const upload = request(`${url}/v1/models/m/versions`, {
    method: 'POST',
    headers: { 'content-type': 'application/octet-stream' },
  })
  upload.end(Buffer.alloc(1001))
  const [response] = await once(upload, 'response')
  t.equal(response.statusCode, 413)
  t.same(readdirSync(join(folder, 'artifacts', 'incoming')), [])
})

t.test('a request repeated with its Idempotency-Key is done once', async (t) => {
  const { url, close } = await listen(t.testdir())
  t.teardown(close)
  await call(url, 'POST', '/v1/models', { id: 'm' })
  const key = { 'idempotency-key': 'k1' }
  const first = await call(url, 'POST', '/v1/models/m/versions', onnx, key)
  const again = await call(url, 'POST', '/v1/models/m/versions', onnx, key)
  t.same(again, first)
  t.equal((await call(url, 'GET', '/v1/models/m')).body.latest, 1)
  t.match(await call(url, 'POST', '/v1/models', { id: 'other' }, key), {
    status: 422,
    body: { code: 'IDEMPOTENCY_KEY_REUSED' },
  })
  const failing = { 'idempotency-key': 'k2' }
  t.equal((await call(url, 'POST', '/v1/models/later/versions', onnx, failing)).status, 404)
  await call(url, 'POST', '/v1/models', { id: 'later' })
  t.equal(
    (await call(url, 'POST', '/v1/models/later/versions', onnx, failing)).status,
    201,
    'a failure is not kept',
  )
})

t.test("the repository's own texts are no models", async (t) => {
  const { url, close } = await listen(t.testdir())
  t.teardown(close)
  await call(url, 'POST', '/v1/models', { id: 'm' })
  for (const file of ['README.md', 'package.json', 'LICENSE']) {
    const answer = await call(url, 'POST', '/v1/models/m/versions', readFileSync(file))
    t.match(answer, { status: 422, body: { code: /NOT_ONNX|MODEL_INVALID/ } }, file)
  }
})

t.test(
  'a model that the runtime cannot load is refused with the operator named, and nothing is kept',
  async (t) => {
    const folder = t.testdir()
    const { url, close } = await listen(folder)
    t.teardown(close)
    await call(url, 'POST', '/v1/models', { id: 'm' })
    const cases = [
      [tinyWith(node('Frobnicate', ['x'], ['z'], {}, { domain: 'com.example' })), /com\.example\.Frobnicate/],
      [tinyWith(node('Frobnicate', ['x'], ['z'])), /operator Frobnicate/],
      [tinyWith(node('MatMul', ['w', 'w'], ['z'])), /cannot load/],
    ] as const
    for (const [file, detail] of cases) {
      const answer = await call(url, 'POST', '/v1/models/m/versions', file)
      t.match(answer, { status: 422, body: { code: 'MODEL_UNSUPPORTED', detail } })
    }
    t.equal((await call(url, 'GET', '/v1/models/m')).body.latest, null)
    t.same(readdirSync(join(folder, 'artifacts')), ['incoming'])
    t.same(readdirSync(join(folder, 'artifacts', 'incoming')), [])
  },
)
