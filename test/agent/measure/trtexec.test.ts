import { chmodSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { answersOf, latenciesOf, toldBy } from '@espalier/agent/measure/trtexec-output.js'
import { MeasuringProcess, profiles } from '@espalier/shared/measure/index.js'
import t from 'tap'

/** Lines in the form in which TensorRT 8.5 prints them; no board was asked. */
const printed = `&&&& RUNNING TensorRT.trtexec [TensorRT v8502] # trtexec --loadEngine=e
[11/26/2026-03:00:00] [I] TensorRT version: 8.5.2
[11/26/2026-03:00:00] [I] [TRT] Loaded engine size: 2 MiB
[11/26/2026-03:00:00] [I] [TRT] [MemUsageChange] TensorRT-managed allocation in engine deserialization: CPU +0, GPU +2, now: CPU 0, GPU 2 (MiB)
[11/26/2026-03:00:00] [I] Engine loaded in 0.0421 sec.
[11/26/2026-03:00:00] [I] [TRT] [MemUsageChange] TensorRT-managed allocation in IExecutionContext creation: CPU +0, GPU +3, now: CPU 0, GPU 5 (MiB)
[11/26/2026-03:00:00] [I] Using random values for input x
[11/26/2026-03:00:00] [I] Created input binding for x with dimensions 1x4
[11/26/2026-03:00:00] [I] Created output binding for y with dimensions 1x2
[11/26/2026-03:00:01] [I] === Performance summary ===
[11/26/2026-03:00:01] [I] Throughput: 507.399 qps
[11/26/2026-03:00:01] [I] Latency: min = 1.96 ms, max = 1.97 ms, mean = 1.96 ms, median = 1.96 ms, percentile(99%) = 1.97 ms
&&&& PASSED TensorRT.trtexec [TensorRT v8502] # trtexec --loadEngine=e
`

t.test('what trtexec prints and writes is read as it is documented', async (t) => {
  t.same(toldBy(printed), {
    version: '8.5.2',
    gpuBytes: 5 * 2 ** 20,
    engineLoadMs: 42.1,
    inputs: [{ name: 'x', dims: [1, 4] }],
    error: null,
  })
  t.match(toldBy('[I] Input binding for images with dimensions 1x3x640x640 is created.'), {
    ...{ version: null, gpuBytes: null, engineLoadMs: null },
    inputs: [{ name: 'images', dims: [1, 3, 640, 640] }],
  })
  t.match(toldBy('[W] a warning\n[E] Error[4]: no kernel\n[E] Engine could not be created'), {
    error: 'Error[4]: no kernel',
  })
  const trace =
    '[\n  { "startComputeMs" : 1, "latencyMs" : 1.5 }\n, { "startComputeMs" : 3, "latencyMs" : 1.25 }\n]\n'
  t.same(latenciesOf(trace), [1.5, 1.25])
  t.throws(() => latenciesOf('[ ]'), { code: 'MEASURING_FAILED' })
  t.throws(() => latenciesOf(''), { code: 'MEASURING_FAILED', message: /--exportTimes/ })
  const output = (values: string) =>
    `[\n  { "name" : "y"\n  , "dimensions" : "1x2"\n  , "values" : [ ${values} ]\n  }\n]\n`
  t.same(answersOf(output('0.5, -2')), [{ name: 'y', dims: [1, 2], values: [0.5, -2], scale: 2 }])
  t.same(answersOf(output('nan, 1')), [], 'values that are no numbers')
})

/** A program that takes the options, prints the lines and writes the files as trtexec does; queries take 2 ms. */
const standIn = `#!${process.execPath}
const { appendFileSync, readFileSync, writeFileSync } = require('node:fs')
const given = Object.fromEntries(process.argv.slice(2).map((a) => a.replace('--', '').split(/=(.*)/s)))
appendFileSync(__filename + '.log', process.argv.slice(2).join(' ') + '\\n')
const fail = (why) => (console.log('[I] hello\\n[E] ' + why), process.exit(1))
if (given.onnx && readFileSync(given.onnx, 'utf8') === 'damaged') fail('ModelImporter.cpp: Failed to parse ONNX model')
if (given.shapes && readFileSync(given.onnx, 'utf8') === 'static')
  fail('Static model does not take explicit shapes since the shape of inference tensors will be determined by the model itself')
if (given.saveEngine) writeFileSync(given.saveEngine, 'an engine')
if (given.loadEngine && readFileSync(given.loadEngine, 'utf8') !== 'an engine') fail('no engine')
console.log(${JSON.stringify(printed)})
const count = Math.max(Number(given.iterations ?? 10), Math.round(Number(given.duration ?? 3) * 500))
const query = () => '{ "startEnqMs" : 0, "endEnqMs" : 1, "computeMs" : 1.5, "latencyMs" : 2 }'
if (given.exportTimes) writeFileSync(given.exportTimes, '[\\n  ' + Array.from({ length: count }, query).join('\\n, ') + '\\n]\\n')
if (given.exportOutput) {
  const [, file] = given.loadInputs.split(':')
  const x = new Float32Array(new Uint8Array(readFileSync(file)).buffer)
  const y = [x[0] + x[1], x[2] + x[3]]
  writeFileSync(given.exportOutput, '[\\n  { "name" : "y"\\n  , "dimensions" : "1x2"\\n  , "values" : [ ' + y.join(', ') + ' ]\\n  }\\n]\\n')
}
setTimeout(() => {}, given.onnx === undefined ? 60 : 0)
`

t.test('a device measures by trtexec, over what stands in for it', async (t) => {
  const folder = t.testdir({ model: 'static', damaged: 'damaged' })
  const program = join(folder, 'trtexec.cjs')
  writeFileSync(program, standIn)
  chmodSync(program, 0o755)
  const adapter = new URL(import.meta.resolve('@espalier/agent/measure/trtexec.js'))
  const child = { file: process.execPath, args: [adapter.pathname, program, '--fp16'] }
  const left = () => readdirSync(tmpdir()).filter((name) => name.startsWith('espalier-trtexec-'))
  const before = left()
  const process_ = await MeasuringProcess.start({ child })
  t.match(process_.ready, { runtime: 'trtexec', runtimeVersion: '8.5.2', providers: ['tensorrt'] })
  t.ok(process_.ready.runtimeBaseBytes > 20e6 + 5 * 2 ** 20, 'a process of Node.js here, and the GPU memory')
  t.match(await process_.load(join(folder, 'model'), { provider: 'tensorrt' }, { x: [1, 4] }), {
    ...{ provider: 'tensorrt', coldLoadMs: 42.1, firstRunMs: 2 },
    inputs: [{ name: 'x', dims: [1, 4] }],
  })
  t.ok((await process_.memory()).processBytes > 20e6)
  const pattern = (i: number) => Math.fround(((i * 7919) % 257) / 128.5 - 1)
  const [{ values }] = await process_.golden()
  t.same(values.map(Math.fround), [pattern(0) + pattern(1), pattern(2) + pattern(3)].map(Math.fround))
  t.match(await process_.latency({ ...profiles.quick, queries: 140 }), {
    runs: 2500,
    p50Ms: 2,
    p95Ms: 2,
    steady: true,
  })
  t.match(await process_.latency({ ...profiles.brief, seconds: 0.1 }), { runs: 50, p50Ms: 2, p90Ms: null })
  const runs = readFileSync(`${program}.log`, 'utf8')
  t.match(runs, /--onnx=\S+model --saveEngine=\S+ --sparsity=enable --fp16 /)
  process_.close()
  for (let i = 0; i < 100 && left().length > before.length; i++) await sleep(20)
  t.same(left(), before, 'nothing is left behind')

  const again = await MeasuringProcess.start({ child })
  await t.rejects(again.load(join(folder, 'damaged')), {
    code: 'MODEL_UNSUPPORTED',
    message: /trtexec: ModelImporter.cpp: Failed to parse/,
  })
  const none = { file: process.execPath, args: [adapter.pathname, '/nowhere/trtexec'] }
  await t.rejects(MeasuringProcess.start({ child: none }), {
    code: 'MEASURING_FAILED',
    message: /\/nowhere\/trtexec cannot be run/,
  })
})
