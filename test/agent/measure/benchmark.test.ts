import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock } from '@espalier/agent/clock.js'
import { benchmark, judge } from '@espalier/agent/measure/benchmark.js'
import { takeLock } from '@espalier/agent/store/lock.js'
import t from 'tap'
import { networkBytes } from '../support/models.js'
import { pi5, tree } from '../support/tree.js'

const child = new URL('../../../agent/dist/measure/child.js', import.meta.url)
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
    const profile = { queries: 70, seconds: 5 }
    const settings = { child, profile, processes: 1, hostLock, root: tree(pi5), clock: systemClock }
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
  const settings = { child, profile: { queries: 1e9, seconds: 60 }, hostLock, root: '/', clock: systemClock }
  const abort = new AbortController()
  const measuring = benchmark(path, {}, settings, abort.signal)
  setTimeout(() => abort.abort(new Error('enough')), 300)
  await t.rejects(measuring, { message: 'enough' })
  t.ok('release' in takeLock(hostLock))
})
