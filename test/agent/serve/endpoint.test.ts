import { mkdirSync, writeFileSync } from 'node:fs'
import { Agent, request as httpRequest } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Endpoint } from '@espalier/agent/serve/endpoint.js'
import * as ort from 'onnxruntime-node'
import t, { type Test } from 'tap'
import { networkBytes } from '../support/models.js'

const WIDTH = 16
const child = new URL(import.meta.resolve('@espalier/agent/serve/child.js'))
const input = Float32Array.from({ length: WIDTH }, (_, i) => Math.sin(i + 1))

/** Writes variants of two seeds as the agent installs them; with what each answers to `input`. */
async function variants(t: Test, count = 2) {
  const root = t.testdir()
  const made = []
  for (let seed = 1; seed <= count; seed++) {
    const folder = join(root, `v${seed}`)
    mkdirSync(folder)
    const bytes = networkBytes(WIDTH, 1, seed)
    writeFileSync(join(folder, 'model.onnx'), bytes)
    const manifest = { model: 'digits', version: seed, variant: `v${seed}`, digest: String(seed).repeat(64) }
    writeFileSync(join(folder, 'manifest.json'), JSON.stringify(manifest))
    const session = await ort.InferenceSession.create(bytes)
    const { y1 } = await session.run({ x: new ort.Tensor('float32', input, [1, WIDTH]) })
    made.push({ folder, version: String(seed), answer: [...(y1.data as Float32Array)] })
  }
  return made
}

async function setUp(t: Test) {
  const lines: string[] = []
  const log = (line: string) => lines.push(line)
  const endpoint = new Endpoint({ port: 0, child, log, restartMs: [50, 200] })
  const port = await endpoint.listen()
  t.teardown(() => endpoint.close())
  const url = `http://127.0.0.1:${port}`
  const ready = async () => {
    while ((await fetch(`${url}/v2/health/ready`)).status !== 200) await sleep(20)
  }
  return { endpoint, port, url, ready, lines }
}

const query = (data: unknown = [...input], more: object = {}) => ({
  inputs: [{ name: 'x', shape: [1, WIDTH], datatype: 'FP32', data, ...more }],
})

async function post(url: string, body: object | string, path = '/v2/models/digits/infer') {
  const response = await fetch(url + path, {
    method: 'POST',
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
  return { status: response.status, body: await response.json() }
}

t.test('health, metadata and inference, as the protocol has them', async (t) => {
  const [first] = await variants(t, 1)
  const { endpoint, url, ready } = await setUp(t)
  t.equal((await fetch(`${url}/v2/health/live`)).status, 200)
  const early = await fetch(`${url}/v2/health/ready`)
  t.equal(early.status, 503, 'alive, but not ready')
  t.match(await early.json(), { code: 'MODEL_NOT_READY', error: /no variant/ })
  endpoint.serve({ folder: first.folder })
  await ready()
  t.equal((await fetch(`${url}/v2/models/digits/ready`)).status, 200)
  t.equal((await fetch(`${url}/v2/models/digits/versions/1/ready`)).status, 200)
  t.match(await (await fetch(`${url}/v2`)).json(), { extensions: ['binary_tensor_data'] })
  t.same(await (await fetch(`${url}/v2/models/digits`)).json(), {
    name: 'digits',
    versions: ['1'],
    platform: 'onnxruntime_onnx',
    inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, WIDTH] }],
    outputs: [{ name: 'y1', datatype: 'FP32', shape: [-1, WIDTH] }],
    parameters: { variant: 'v1', digest: '1'.repeat(64) },
  })
  const answered = await post(url, { id: 'seven', ...query() })
  t.same(answered, {
    status: 200,
    body: {
      model_name: 'digits',
      model_version: '1',
      id: 'seven',
      outputs: [{ name: 'y1', shape: [1, WIDTH], datatype: 'FP32', data: first.answer }],
    },
  })
  const nested = await post(url, query([[...input]]))
  t.same(nested.body.outputs, answered.body.outputs, 'nested data are the same')
})

t.test('tensors in binary form, both ways', async (t) => {
  const [first] = await variants(t, 1)
  const { endpoint, url, ready } = await setUp(t)
  endpoint.serve({ folder: first.folder })
  await ready()
  const json = JSON.stringify({
    parameters: { binary_data_output: true },
    inputs: [{ name: 'x', shape: [1, WIDTH], datatype: 'FP32', parameters: { binary_data_size: WIDTH * 4 } }],
  })
  const send = (header: number, tensor: Uint8Array) =>
    fetch(`${url}/v2/models/digits/infer`, {
      method: 'POST',
      headers: { 'inference-header-content-length': String(header) },
      body: Buffer.concat([Buffer.from(json), tensor]),
    })
  const response = await send(json.length, new Uint8Array(input.buffer))
  const body = Buffer.from(await response.arrayBuffer())
  const jsonBytes = Number(response.headers.get('inference-header-content-length'))
  t.match(JSON.parse(body.subarray(0, jsonBytes).toString()), {
    outputs: [{ name: 'y1', parameters: { binary_data_size: WIDTH * 4 } }],
  })
  t.same([...new Float32Array(new Uint8Array(body.subarray(jsonBytes)).buffer)], first.answer)
  for (const [header, tensor] of [
    [json.length, new Uint8Array(12)],
    [json.length, new Uint8Array(WIDTH * 4 + 1)],
    [json.length - 3, new Uint8Array(input.buffer)],
    [1e9, new Uint8Array(input.buffer)],
    [Number.NaN, new Uint8Array(input.buffer)],
  ] as const)
    t.equal((await send(header, tensor)).status, 400, `${header}, ${tensor.length} bytes`)
})

t.test('what is wrong with a request is said, and the next one is answered', async (t) => {
  const [first] = await variants(t, 1)
  const { endpoint, url, ready } = await setUp(t)
  endpoint.serve({ folder: first.folder })
  await ready()
  const wrong: [what: string, body: object | string, error: RegExp][] = [
    ['no JSON', '{"inputs":', /not JSON/],
    ['nothing asked', {}, /inputs/],
    ['another input', { inputs: [{ name: 'z', shape: [1], datatype: 'FP32', data: [1] }] }, /'z'.*'x'/],
    ['another type', query([...input], { datatype: 'INT8' }), /INT8.*FP32/],
    ['an unknown type', query([...input], { datatype: 'BYTES' }), /BYTES/],
    ['another shape', query([...input], { shape: [1, 4, 4] }), /\[1, 4, 4\]/],
    ['too few values', query([1, 2]), /2 values.*16/],
    ['a huge shape', query([1], { shape: [2 ** 31, WIDTH] }), /1 values/],
    ['text for numbers', query([...input].fill('x' as never)), /value 0 is "x"/],
    ['no data', query(undefined, { data: undefined }), /neither data/],
    ['no such output', { ...query(), outputs: [{ name: 'q' }] }, /'q'.*'y1'/],
    ['deep nesting', `{"inputs":${'['.repeat(100_000)}`, /not JSON/],
  ]
  for (const [what, body, error] of wrong)
    t.match(await post(url, body), { status: 400, body: { error, code: /^[A-Z_]+$/ } }, what)
  t.equal((await post(url, query(), '/v2/models/other/infer')).status, 404)
  t.equal((await post(url, query(), '/v2/models/digits/versions/9/infer')).status, 404)
  t.equal((await fetch(`${url}/v2/models/digits/infer`)).status, 405)
  t.equal((await fetch(`${url}/elsewhere`)).status, 404)
  t.equal(
    (await fetch(`${url}/v2/models/%zz/versions/%`)).status,
    404,
    'what is no escape is no error of ours',
  )
  t.equal((await post(url, query())).status, 200)
})

t.test('web pages, foreign names and oversized bodies are kept out', async (t) => {
  const [first] = await variants(t, 1)
  const { endpoint, port, url, ready } = await setUp(t)
  endpoint.serve({ folder: first.folder })
  await ready()
  const status = (headers: Record<string, string | number>, method = 'GET') =>
    new Promise<number>((resolve, reject) =>
      httpRequest({ port, host: '127.0.0.1', path: '/v2/models/digits/infer', method, headers }, (r) => {
        r.resume()
        resolve(r.statusCode!)
      })
        .once('error', reject)
        .end(),
    )
  t.equal(await status({ host: 'evil.example' }), 403)
  t.equal(await status({ origin: 'http://evil.example' }), 403)
  t.equal(await status({ 'content-length': 2 ** 31 }, 'POST'), 413)
  t.equal(await status({ 'transfer-encoding': 'chunked' }, 'POST'), 400)
  t.equal((await post(url, query())).status, 200)
})

t.test('across five swaps no request is dropped, and each is answered by one whole network', async (t) => {
  const made = await variants(t, 6)
  const { endpoint, port, ready } = await setUp(t)
  endpoint.serve({ folder: made[0].folder })
  await ready()
  const connections = new Agent({ keepAlive: true, maxSockets: 8 })
  t.teardown(() => connections.destroy())
  const body = JSON.stringify(query())
  const ask = () =>
    new Promise<{ status: number; text: string }>((resolve, reject) => {
      const headers = { 'content-length': body.length }
      const path = '/v2/models/digits/infer'
      const sent = httpRequest({ port, host: '127.0.0.1', path, method: 'POST', headers, agent: connections })
      sent.once('error', reject).once('response', (response) => {
        let text = ''
        response.on('data', (part) => {
          text += part
        })
        response.once('end', () => resolve({ status: response.statusCode!, text }))
        response.once('error', reject)
      })
      sent.end(body)
    })
  const seen = new Map<string, number>()
  let isOver = false
  const client = async () => {
    while (!isOver) {
      const { status, text } = await ask()
      const { model_version: version, outputs } = JSON.parse(text)
      const right = made.find((m) => m.version === version)
      if (status !== 200 || !right) return t.fail(`${status}: ${text}`)
      if (JSON.stringify(outputs[0].data) !== JSON.stringify(right.answer))
        return t.fail(`version ${version} answered ${outputs[0].data}`)
      seen.set(version, (seen.get(version) ?? 0) + 1)
    }
  }
  const clients = Array.from({ length: 8 }, client)
  for (const { folder, version } of made.slice(1)) {
    endpoint.serve({ folder })
    while (!seen.has(version)) await sleep(10)
  }
  isOver = true
  await Promise.all(clients)
  for (const { version } of made)
    t.ok((seen.get(version) ?? 0) > 0, `version ${version}: ${seen.get(version)}`)
})

t.test('a variant that cannot be loaded leaves the one before it serving', async (t) => {
  const [first, second] = await variants(t)
  const { endpoint, url, ready, lines } = await setUp(t)
  endpoint.serve({ folder: first.folder })
  await ready()
  writeFileSync(join(second.folder, 'model.onnx'), 'no network')
  endpoint.serve({ folder: second.folder })
  while (!lines.some((line) => /INTERNAL|MODEL_/.test(line))) await sleep(20)
  t.match(await post(url, query()), { status: 200, body: { model_version: '1' } })
  writeFileSync(join(second.folder, 'model.onnx'), networkBytes(WIDTH, 1, 2))
  while ((await post(url, query())).body.model_version !== '2') await sleep(20)
  t.pass('it is tried again')
  endpoint.serve(null)
  while ((await post(url, query())).status !== 503) await sleep(20)
  t.pass('nothing serves where nothing is active')
})

t.test('a port that is taken is said to be', async (t) => {
  const { port } = await setUp(t)
  const second = new Endpoint({ port, child, log: () => {} })
  await t.rejects(second.listen(), { code: 'PORT_TAKEN', message: /--serve/ })
})
