import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Drawings } from '@espalier/server/catalog/index.js'
import { writeModel } from '@espalier/server/compiler/onnx/index.js'
import { prune } from '@espalier/server/compiler/recipes/index.js'
import t from 'tap'
import { figuresOf } from '../support/house.js'
import { convNetwork, flatNetwork } from '../support/networks.js'
import { call, eventually, listen } from '../support/service.js'
import { tinyData } from '../support/tiny.js'

t.test('a version is drawn when it is uploaded, and the picture can do nothing', async (t) => {
  const { url, close } = await listen(t.testdir())
  t.teardown(close)
  await call(url, 'POST', '/v1/models', { id: 'm' })
  const { body } = await call(url, 'POST', '/v1/models/m/versions', writeModel(convNetwork([8, 6], 4)))
  t.match(body, { drawing: /^[0-9a-f]{64}$/, undrawn: null })
  const answer = await fetch(`${url}/v1/models/m/versions/1/drawing.svg`)
  t.equal(answer.status, 200)
  t.match(Object.fromEntries(answer.headers), {
    'content-type': 'image/svg+xml; charset=utf-8',
    'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    'x-content-type-options': 'nosniff',
    etag: `"${body.drawing}"`,
  })
  t.match(await answer.text(), /^<svg [\s\S]*>m<\/text>[\s\S]*Conv 3×3[\s\S]*<\/svg>\n$/)
  const openapi = (await (await fetch(`${url}/docs/json`)).json()) as { paths: Record<string, object> }
  for (const path of ['/v1/models/{id}/versions/{version}/drawing.svg', '/v1/variants/{id}/drawing.svg'])
    t.match(openapi.paths[path], { get: { responses: { 200: { content: { 'image/svg+xml': {} } } } } })
})

t.test('a version that cannot be drawn is stored all the same, and says why', async (t) => {
  const { url, close } = await listen(t.testdir())
  t.teardown(close)
  await call(url, 'POST', '/v1/models', { id: 'm' })
  const dynamic = flatNetwork(['batch', 5], 3)
  const [x] = dynamic.inputs
  const file = writeModel(dynamic.with({ inputs: [{ ...x, dims: ['batch', 'features'] }] }))
  t.match(await call(url, 'POST', '/v1/models/m/versions', file), {
    status: 201,
    body: { drawing: null, undrawn: /no size was given for 'features'/ },
  })
  t.match(await call(url, 'GET', '/v1/models/m/versions/1/drawing.svg'), {
    status: 404,
    body: { code: 'DRAWING_UNKNOWN', detail: /version 1 of model 'm': no size was given/ },
  })
})

t.test('a variant is drawn beside the dense network; one that is no network is kept without', async (t) => {
  const { folder, spec } = tinyData(t)
  const { url, parts, events, close } = await listen(folder)
  t.teardown(close)
  await call(url, 'POST', '/v1/models', { id: 'm' })
  const dense = convNetwork([8, 6], 4)
  await call(url, 'POST', '/v1/models/m/versions', writeModel(dense))
  await call(url, 'POST', '/v1/datasets', { id: 'd', spec })
  const done = eventually(events, (e) => e.type === 'compilation.changed' && e.state === 'done')
  await call(url, 'POST', '/v1/compilations', { model: 'm', data: 'd', memoryBytes: [4000] })
  await done
  const [made] = parts.variants.list({ model: 'm' }).items
  t.match(made, { drawing: null, undrawn: /./ })
  t.match(await call(url, 'GET', `/v1/variants/${made.id}/drawing.svg`), { status: 404 })

  const [before, after] = [join(folder, 'before.onnx'), join(folder, 'after.onnx')]
  writeFileSync(before, writeModel(dense))
  writeFileSync(after, writeModel((await prune(dense, { keep: 0.5 })).graph))
  const drawn = await new Drawings(parts.artifacts).draw({ title: 'half', before, after })
  const { name, model, version, compilation, digest } = made
  const ports = { inputs: [], outputs: [], preprocess: null, labels: null }
  const figures = figuresOf(2, 0.97, 0.3)
  const of = { name, model, version, compilation, digest, figures, ports }
  const [id] = parts.variants.add([{ ...of, drawn }])
  const svg = await (await fetch(`${url}/v1/variants/${id}/drawing.svg`)).text()
  t.match(svg, /8 → 4<\/text>[\s\S]*6 → 3<\/text>/)
})
