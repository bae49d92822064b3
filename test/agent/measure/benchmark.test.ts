import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock } from '@espalier/agent/clock.js'
import { benchmark, judge } from '@espalier/agent/measure/benchmark.js'
import { takeLock } from '@espalier/agent/store/lock.js'
import { profiles } from '@espalier/shared/measure/index.js'
import t from 'tap'
import { networkBytes } from '../support/models.js'
import { pi5, tree } from '../support/tree.js'

const child = new URL(import.meta.resolve('@espalier/agent/measure/child.js'))
const log = () => {}
const cool = { temperatureC: 50, frequencyMhz: 1500, powerW: 4, throttling: false, throttleEvents: 3 }

t.test('a run is throttled when the machine says so, or a counter rises', async (t) => {
  const hot = { ...cool, temperatureC: 71, frequencyMhz: 900, powerW: 7 }
  t.same(judge([cool, hot, cool]), { throttled: false, temperatureC: 71, frequencyMhz: 1300, powerW: 5 })
  t.equal(judge([cool, { ...cool, throttling: true }, cool]).throttled, true)
  t.equal(judge([cool, { ...cool, throttleEvents: 4 }]).throttled, true)
  t.equal(judge([cool], 1.12).throttled, true, 'it slowed down by 12 %')
  t.equal(judge([cool], 1.05).throttled, false)
  const unknown = {
    temperatureC: null,
    frequencyMhz: null,
    powerW: null,
    throttling: null,
    throttleEvents: null,
  }
  const nothing = { throttled: false, temperatureC: null, frequencyMhz: null, powerW: null }
  t.same(judge([unknown, unknown]), nothing)
})

t.test(
  'agents of one host measure one at a time, and percentiles without enough queries are null',
  async (t) => {
    const folder = t.testdir()
    const path = join(folder, 'model.onnx')
    writeFileSync(path, networkBytes(64))
    const hostLock = join(folder, 'lock')
    const profile = { ...profiles.brief, queries: 70 }
    const settings = {
      child,
      profile,
      setups: [{}],
      processes: 1,
      hostLock,
      root: tree(pi5),
      clock: systemClock,
      log,
    }
    const other = takeLock(hostLock)
    let isDone = false
    const measuring = benchmark(path, {}, settings, new AbortController().signal).then((measured) => {
      isDone = true
      return measured
    })
    await systemClock.sleep(600)
    t.notOk(isDone, 'it waits for the other')
    if ('release' in other) other.release()
    const measured = await measuring
    t.match(measured, {
      runs: 70,
      p95Ms: null,
      p99Ms: null,
      temperatureC: 48,
      frequencyMhz: 2400,
      powerW: null,
      governor: 'performance',
    })
    t.ok(measured.p90Ms !== null && measured.p90Ms >= measured.p50Ms)
    t.ok(measured.measuredRamBytes > 0 && measured.runtimeBaseBytes > 2e7)
    t.ok('release' in takeLock(hostLock), 'the lock is free again')
  },
)

t.test('an abort ends a benchmark and frees the host', async (t) => {
  const folder = t.testdir()
  const path = join(folder, 'model.onnx')
  writeFileSync(path, networkBytes(64))
  const hostLock = join(folder, 'lock')
  const settings = {
    child,
    profile: { ...profiles.standard, queries: 1e9 },
    setups: [{}],
    hostLock,
    root: '/',
    clock: systemClock,
    log,
  }
  const abort = new AbortController()
  const measuring = benchmark(path, {}, settings, abort.signal)
  setTimeout(() => abort.abort(new Error('enough')), 300)
  await t.rejects(measuring, { message: 'enough' })
  t.ok('release' in takeLock(hostLock))
})

t.test(
  'what runs now is measured in turn with what might take its place, if there is memory for both',
  async (t) => {
    const folder = t.testdir()
    const file = (name: string, width: number) => {
      writeFileSync(join(folder, name), networkBytes(width))
      return join(folder, name)
    }
    const candidate = file('candidate.onnx', 64)
    const incumbent = {
      digest: 'd'.repeat(64),
      path: file('incumbent.onnx', 900),
      memoryBytes: 4e6,
      setup: { threads: 1 },
      shapes: { x: [1, 900] },
    }
    const told: string[] = []
    const settings = {
      child,
      profile: { ...profiles.brief, queries: 64 },
      setups: [{}],
      processes: 1,
      hostLock: join(folder, 'lock'),
      root: tree({ 'proc/meminfo': 'MemAvailable: 2000000 kB\n' }),
      clock: systemClock,
      log: (line: string) => told.push(line),
    }
    const { signal } = new AbortController()
    const both = await benchmark(candidate, { incumbent }, settings, signal)
    t.match(both.incumbent, { variant: incumbent.digest, p95Ms: null, interleaved: true })
    t.ok(both.incumbent!.p50Ms > both.p50Ms, `${both.incumbent!.p50Ms} > ${both.p50Ms}`)
    t.ok(both.runs >= 64)

    const narrow = { ...settings, root: tree({ 'proc/meminfo': 'MemAvailable: 60000 kB\n' }) }
    const after = await benchmark(candidate, { incumbent }, narrow, signal)
    t.match(after.incumbent, { variant: incumbent.digest, interleaved: false })
    const unknown = await benchmark(
      candidate,
      { incumbent: { ...incumbent, memoryBytes: null } },
      settings,
      signal,
    )
    t.match(unknown.incumbent, { interleaved: false }, 'nobody knows what it takes')

    t.same(told, [])
    writeFileSync(incumbent.path, 'damaged')
    const alone = await benchmark(candidate, { incumbent }, settings, signal)
    t.equal(alone.incumbent, undefined)
    t.ok(alone.p50Ms > 0, 'which says nothing against the candidate')
    t.match(told[0], /^dddddddddddd could not be measured for comparison: MODEL_UNSUPPORTED/)
  },
)
