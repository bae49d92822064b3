import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { interleave, type MeasuringProcess, profiles, withModel } from '@espalier/shared/measure/index.js'
import t from 'tap'
import { pretendedChild } from './support/pretended.js'

t.test('what slows the machine down weighs the same on models that are timed in turn', async (t) => {
  const folder = t.testdir({ a: '1', b: '1' })
  const child = pretendedChild(folder, 0.01)
  const profile = { ...profiles.brief, queries: 60 }
  const both = <T>(use: (a: MeasuringProcess, b: MeasuringProcess) => Promise<T>) =>
    withModel(join(folder, 'a'), { child }, (a) => withModel(join(folder, 'b'), { child }, (b) => use(a, b)))
  const inTurn = await both(async (a, b) => {
    const [first, second] = await interleave([a, b], profile)
    t.match([first, second], [{ runs: 60 }, { runs: 60 }])
    t.ok(first.drift > 1.1 && second.drift > 1.1, `${first.drift}, ${second.drift}`)
    return second.p50Ms / first.p50Ms
  })
  const oneAfterTheOther = await both(async (a, b) => {
    const first = await a.latency(profile)
    return (await b.latency(profile)).p50Ms / first.p50Ms
  })
  t.ok(Math.abs(inTurn - 1) < 0.08, `${inTurn} in turn`)
  t.ok(oneAfterTheOther > 1.15, `${oneAfterTheOther} one after the other`)
})

t.test('a benchmark lasts as long as its profile asks, and has as many queries', async (t) => {
  const folder = t.testdir({ fast: '0.5', slow: '60' })
  const child = pretendedChild(folder, 0)
  const latency = (model: string, known: object) =>
    withModel(join(folder, model), { child }, (p) => p.latency({ ...profiles.brief, ...known }))
  const lasting = { queries: 70, leastSeconds: 0.5, warmUpSeconds: 0.3 }
  t.match(await latency('fast', lasting), { runs: 1000, warmUps: 600, steady: true, drift: 1, p50Ms: 0.5 })
  t.match(await latency('fast', { queries: 70 }), { runs: 70, warmUps: 16, p90Ms: 0.5, p95Ms: null })
  const slow = await latency('slow', { ...lasting, seconds: 0.6 })
  t.match(slow, { runs: 10, steady: false, p50Ms: 60, p90Ms: null }, 'there was no time for more')
})

t.test('a process that says something else is ended, with its own last words', async (t) => {
  const said = (name: string, script: string) => {
    const file = join(t.testdirName, name)
    writeFileSync(file, script)
    return new URL(`file://${file}`)
  }
  t.testdir()
  const answering = (ok: string) =>
    `console.log('a library says hello'); process.stdin.once('data', () => console.log('{"id":1,"ok":${ok}}'))`
  const start = (child: URL) => withModel('model', { child, timeoutMs: 5000 }, async () => {})
  await t.rejects(start(said('a.mjs', answering('{"runtimeBaseBytes":-1}'))), {
    code: 'MEASURING_FAILED',
    message: /answer to 'start': property \/runtimeBaseBytes/,
  })
  await t.rejects(start(said('b.mjs', answering('null'))), { code: 'MEASURING_FAILED' })
  await t.rejects(start(said('c.mjs', 'console.error("no such device"); process.exit(3)')), {
    message: /ended \(status 3\): no such device/,
  })
  await t.rejects(start(said('e.mjs', 'throw new TypeError("no such thing")')), {
    message: /ended \(status 1\): TypeError: no such thing$/,
  })
  await t.rejects(
    start(said('d.mjs', 'process.stdout.write("x".repeat(2e7)); setInterval(() => {}, 1000)')),
    {
      message: /too much in one line/,
    },
  )
  const missing = { file: '/nowhere/measure', args: [] }
  await t.rejects(
    withModel('model', { child: missing }, async () => {}),
    { message: /could not be started/ },
  )
})
