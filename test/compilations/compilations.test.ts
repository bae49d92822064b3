import { cpSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { openDatabase } from '@espalier/server/store/index.js'
import { ReportStore } from '@espalier/server/telemetry/index.js'
import type { OperatorTimes } from '@espalier/shared/measure/index.js'
import t, { type Test } from 'tap'
import { reportOf } from '../support/centre.js'
import { type Answer, call, listen, type Options } from '../support/service.js'
import { tinyData, tinyOnnx } from '../support/tiny.js'

const endless = new URL('../support/workers/endless.mjs', import.meta.url)

const { folder: template, spec } = tinyData(t)
const maker = await listen(template)
await call(maker.url, 'POST', '/v1/models', { id: 'm' })
await call(maker.url, 'POST', '/v1/models/m/versions', tinyOnnx)
t.match(await call(maker.url, 'POST', '/v1/datasets', { id: 'd', spec }), {
  status: 201,
  body: { count: 4, dims: [4], classes: 2 },
})
await maker.close()

/** A service with a model `m` and data `d`. */
async function prepared(t: Test, options: Options = {}) {
  const folder = t.testdir()
  cpSync(template, folder, { recursive: true })
  const service = await listen(folder, options)
  t.teardown(service.close)
  return { ...service, folder }
}

const create = (url: string, more: object = {}) =>
  call(url, 'POST', '/v1/compilations', { model: 'm', data: 'd', memoryBytes: [4000], ...more })

/** Reads a compilation until `wanted` accepts it. */
async function until(url: string, id: unknown, wanted: (body: Answer['body']) => boolean) {
  for (;;) {
    const { body } = await call(url, 'GET', `/v1/compilations/${id}`)
    if (wanted(body)) return body
    await pause(20)
  }
}
const ended = ({ state }: Answer['body']) => state !== 'queued' && state !== 'running'
const busy = ({ progress }: Answer['body']) => progress !== null
const pidOf = ({ progress }: Answer['body']) => Number(/\d+/.exec(JSON.stringify(progress))?.[0])

const times: OperatorTimes = {
  espalierProfile: 1,
  machine: 'a board',
  runtime: 'none',
  runtimeVersion: '0',
  threads: 1,
  queryMs: 0.01,
  scale: 1,
  operators: [{ op: 'Relu', kind: '', dims: [[1], [1]], ms: 0.1 }],
}

t.test("a limit on latency comes with a device's times, of which the answer names the machine", async (t) => {
  const { url } = await prepared(t)
  const created = await create(url, { latencyMs: [2.5], profile: times })
  t.match(created, { status: 202, body: { request: { latencyMs: [2.5], profile: 'a board' } } })
  const { id } = created.body
  const done = await until(url, id, ended)
  t.same(done.frontier, [{ memoryBytes: 4000, saliency: 1, macs: 1, params: 1 }])
  t.match(await (await fetch(`${url}/v1/compilations/${id}/report`)).text(), /in 2.5 ms on a board/)
  for (const wrong of [
    { latencyMs: [0] },
    { latencyMs: [-1] },
    { latencyMs: 2 },
    { latencyMs: [] },
    { latencyMs: [2], profile: { ...times, espalierProfile: 2 } },
    { latencyMs: [2], profile: { ...times, scale: 0 } },
    { latencyMs: [2], profile: 'a board' },
  ])
    t.match(await create(url, wrong), { status: 400, body: { code: String } }, JSON.stringify(wrong))
  const uneven = await create(url, { latencyMs: [1, 2], macs: [0.5, 0.4, 0.3] })
  t.match(uneven, { status: 422, body: { code: 'OPTION_INVALID' } })
})

t.test('a compilation makes variants whose bytes can be fetched, and tells its progress', async (t) => {
  const { url, events, folder } = await prepared(t)
  const told: string[] = []
  events.watch((e) => told.push(e.type === 'compilation.changed' ? e.state : e.type))
  const created = await create(url)
  t.match(created, { status: 202, body: { model: 'm', version: 1, variants: [] } })
  const done = await until(url, created.body.id, ended)
  t.match(done, { state: 'done', dense: { top1: 0.99 }, error: null, variants: [/^v/] })
  t.same(told, ['queued', 'running', 'compilation.progress', 'variants.changed', 'done'])
  const { body: list } = await call(url, 'GET', '/v1/variants?model=m&withdrawn=false')
  t.match(list.items, [{ compilation: created.body.id, memoryBudgetBytes: 4000, withdrawnAt: null }])
  const artifact = await fetch(`${url}/v1/variants/${list.items[0].id}/artifact`)
  t.equal(await artifact.text(), 'variant of 4000')
  t.equal(artifact.headers.get('etag'), `"${list.items[0].digest}"`)
  const report = await fetch(`${url}/v1/compilations/${created.body.id}/report`)
  t.equal(await report.text(), '# What was done')
  t.same(readdirSync(join(folder, 'compilations')), [], 'its working folder is gone')

  const withdrawn = await call(url, 'POST', `/v1/variants/${list.items[0].id}/withdraw`)
  t.type(withdrawn.body.withdrawnAt, 'number')
  t.same(await call(url, 'POST', `/v1/variants/${list.items[0].id}/withdraw`), withdrawn, 'twice is once')
  t.same((await call(url, 'GET', '/v1/variants?withdrawn=false')).body.items, [])
  t.equal((await call(url, 'GET', '/v1/variants?withdrawn=true')).body.items.length, 1)
})

t.test('a running compilation is cancelled with its process, and the next one begins', async (t) => {
  const { url } = await prepared(t, { worker: endless })
  const first = await create(url)
  const second = await create(url)
  const running = await until(url, first.body.id, busy)
  t.equal((await call(url, 'GET', `/v1/compilations/${second.body.id}`)).body.state, 'queued')
  t.equal((await call(url, 'GET', '/healthz')).status, 200, 'the service answers while it compiles')
  await call(url, 'POST', `/v1/compilations/${first.body.id}/cancel`)
  t.match(await until(url, first.body.id, ended), { state: 'cancelled' })
  t.throws(() => process.kill(pidOf(running), 0), { code: 'ESRCH' })
  await until(url, second.body.id, busy)
  await call(url, 'POST', `/v1/compilations/${second.body.id}/cancel`)
  await until(url, second.body.id, ended)
  t.match(await call(url, 'POST', `/v1/compilations/${second.body.id}/cancel`), {
    status: 409,
    body: { code: 'COMPILATION_ENDED' },
  })
})

t.test('one that waits is cancelled before it begins', async (t) => {
  const { url } = await prepared(t, { worker: endless })
  await create(url)
  const waiting = await create(url)
  const cancelled = await call(url, 'POST', `/v1/compilations/${waiting.body.id}/cancel`)
  t.match(cancelled.body, { state: 'cancelled', startedAt: null })
})

t.test(
  'a worker killed by the system fails its compilation with the cause, and it can be retried',
  async (t) => {
    const { url, folder } = await prepared(t, { worker: endless })
    const { body } = await create(url)
    process.kill(pidOf(await until(url, body.id, busy)), 'SIGKILL')
    t.match(await until(url, body.id, ended), {
      state: 'failed',
      error: { code: 'WORKER_CRASHED', message: /SIGKILL/ },
    })
    t.same(readdirSync(join(folder, 'compilations')), [])
    t.match(await call(url, 'POST', `/v1/compilations/${body.id}/retry`), {
      status: 202,
      body: { error: null },
    })
    await until(url, body.id, busy)
    t.match(await call(url, 'POST', `/v1/compilations/${body.id}/retry`), {
      status: 409,
      body: { code: 'COMPILATION_ACTIVE' },
    })
  },
)

t.test('a compilation over its memory is stopped and says so', async (t) => {
  const { url } = await prepared(t, { worker: endless, compileBytes: 300 * 2 ** 20, compileMs: 60_000 })
  const { body } = await create(url, { seed: 1 })
  t.match(await until(url, body.id, ended), {
    state: 'failed',
    error: { code: 'MEMORY_LIMIT', message: /limit of 315 MB/ },
  })
})

t.test('a compilation over its time is stopped and says so', async (t) => {
  const { url } = await prepared(t, { worker: endless, compileMs: 1_000 })
  const { body } = await create(url)
  t.match(await until(url, body.id, ended), { state: 'failed', error: { code: 'TIME_LIMIT' } })
})

t.test('what ran when the service ended is interrupted, and runs again when retried', async (t) => {
  const folder = t.testdir()
  cpSync(template, folder, { recursive: true })
  const first = await listen(folder, { worker: endless })
  const { body } = await create(first.url)
  await until(first.url, body.id, busy)
  await first.close()
  const db = openDatabase(join(folder, 'espalier.db'))
  t.equal(db.prepare('SELECT state FROM compilations').pluck().get(), 'interrupted', 'a clean end says so')
  db.prepare("UPDATE compilations SET state = 'running'").run() // as a process that was killed leaves it
  db.close()

  const second = await listen(folder)
  t.teardown(second.close)
  t.match((await call(second.url, 'GET', `/v1/compilations/${body.id}`)).body, {
    state: 'interrupted',
    error: { code: 'INTERRUPTED' },
  })
  await call(second.url, 'POST', `/v1/compilations/${body.id}/retry`)
  t.match(await until(second.url, body.id, ended), { state: 'done' })
})

t.test('a recipe says the method, and one that ends by itself needs no limit', async (t) => {
  const worker = new URL(import.meta.resolve('@espalier/server/compilations/worker.js'))
  const { url } = await prepared(t, { worker })
  const recipe = { schedule: 'iterative', rounds: 1, epochs: 0 }
  const created = await create(url, { memoryBytes: undefined, recipe })
  t.match(created, { status: 202, body: { request: { recipe } } })
  t.match(await until(url, created.body.id, ended), { state: 'done', error: null, variants: { length: 1 } })
  t.match((await call(url, 'GET', '/v1/variants')).body.items, [{ name: 'iterative' }])
  const report = await (await fetch(`${url}/v1/compilations/${created.body.id}/report`)).text()
  t.match(report, /iterative/)
})

t.test('a request that cannot work is refused before anything is queued', async (t) => {
  const { url } = await prepared(t)
  await call(url, 'POST', '/v1/datasets', { id: 'same', spec })
  await call(url, 'POST', '/v1/models', { id: 'empty' })
  const cases: [object, number, string][] = [
    [{ model: 'nobody' }, 404, 'MODEL_UNKNOWN'],
    [{ model: 'empty' }, 404, 'VERSION_UNKNOWN'],
    [{ version: 9 }, 404, 'VERSION_UNKNOWN'],
    [{ data: 'nobody' }, 404, 'DATASET_UNKNOWN'],
    [{ eval: 'nobody' }, 404, 'DATASET_UNKNOWN'],
    [{ eval: 'same' }, 422, 'DATASET_INVALID'],
    [{ memoryBytes: undefined }, 422, 'OPTION_INVALID'],
    [{ memoryBytes: [1, 2, 3], macs: [0.5, 0.6] }, 422, 'OPTION_INVALID'],
    [{ macs: [0] }, 422, 'OPTION_INVALID'],
    [{ criterion: 'guess' }, 422, 'OPTION_INVALID'],
    [{ recipe: {} }, 422, 'RECIPE_INVALID'],
    [{ recipe: { schedule: 'gradual', rounds: 0 } }, 422, 'RECIPE_INVALID'],
    [{ recipe: 'gradual' }, 400, 'REQUEST_INVALID'],
    [{ memoryBytes: undefined, recipe: { schedule: 'gradual' } }, 422, 'OPTION_INVALID'],
    [{ recipe: { schedule: 'gradual' } }, 422, 'OPTION_INVALID'],
    [{ memoryBytes: undefined, latencyMs: [2], recipe: { schedule: 'iterative' } }, 422, 'OPTION_INVALID'],
    [{ memoryBytes: [] }, 400, 'REQUEST_INVALID'],
    [{ memoryBytes: ['4 apples'] }, 400, 'REQUEST_INVALID'],
    [{ macs: [1.5] }, 400, 'REQUEST_INVALID'],
  ]
  for (const [more, status, code] of cases) {
    t.match(await create(url, more), { status, body: { code } }, JSON.stringify(more))
  }
  t.match(await create(url, { memoryBytes: [4000, 5000], params: [0.2, 0.3, 0.4] }), {
    body: { detail: /3 variants cannot take 2 values/ },
  })
  t.same((await call(url, 'GET', '/v1/compilations')).body.items, [])
})

t.test('data that cannot be read are refused when they are registered', async (t) => {
  const { url, folder } = await prepared(t)
  const cases = [
    ['npz:/nowhere.npz', /FILE_NOT_FOUND/],
    ['csv:/x', /DATA_SPEC_INVALID/],
    [`idx:${folder}/x.idx`, /DATA_SPEC_INVALID/],
    [`idx:${folder}/espalier.db,${folder}/y.idx`, /DATA_INVALID/],
    [`images:${folder}/none`, /FILE_NOT_FOUND|DATA_INVALID/],
  ] as const
  for (const [spec, code] of cases) {
    const answer = await call(url, 'POST', '/v1/datasets', { id: 'bad', spec })
    t.match(answer, { body: { code } }, spec)
    t.ok(answer.status >= 400 && answer.status < 500)
  }
  const upload = await call(url, 'POST', '/v1/datasets/bad/file', Buffer.from('no zip'))
  t.match(upload, { status: 422, body: { code: 'DATA_INVALID' } })
  t.same(readdirSync(join(folder, 'artifacts', 'incoming')), [])
  t.same(
    (await call(url, 'GET', '/v1/datasets')).body.items.map((d) => d.id),
    ['d'],
  )
})

t.test('budgets for a board come with what such boards reported', async (t) => {
  const { url, parts, events } = await prepared(t)
  t.match(await create(url, { board: 'Jetson Nano' }), { status: 404, body: { code: 'BOARD_UNKNOWN' } })
  const first = await create(url)
  await until(url, first.body.id, ended)
  const [{ digest }] = (await call(url, 'GET', '/v1/variants')).body.items
  parts.db
    .prepare("INSERT INTO devices (id, passwordHash, facts, createdAt) VALUES ('a', x'00', ?, 0)")
    .run(JSON.stringify({ board: 'Jetson Nano' }))
  parts.db.prepare("UPDATE variants SET figures = json_set(figures, '$.measuredRamBytes', 4e6)").run()
  const reports = new ReportStore(parts.db, events)
  const one = { variant: `${digest}`, board: 'Jetson Nano', measuredRamBytes: 6_000_000 }
  await reports.add([1, 2, 3].map((n) => reportOf('a', `r${n}`, one)))

  const { body: board } = await call(url, 'GET', '/v1/boards/Jetson%20Nano')
  t.match(board, { board: 'Jetson Nano', devices: 1, reports: 3, variants: 1, corrected: true })
  t.same((await call(url, 'GET', '/v1/boards')).body, { items: [board] })
  const { body: memory } = await call(url, 'GET', '/v1/boards/Jetson%20Nano/memory?model=m')
  t.match(memory.items, [{ digest, measuredRamBytes: 4e6, reportedRamBytes: 6e6, reports: 3 }])
  const expected = Number(memory.items[0].expectedRamBytes)
  t.ok(expected > 5.5e6 && expected < 6e6, `${expected}`)

  const { body } = await create(url, { board: 'Jetson Nano' })
  t.match(await until(url, body.id, ended), { state: 'done', request: { board: 'Jetson Nano' } })
  const report = await (await fetch(`${url}/v1/compilations/${body.id}/report`)).text()
  t.same(JSON.parse(report.slice(report.indexOf('{'))), { name: 'Jetson Nano', ...Object(board.correction) })
})
