import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { floats, Graph, node } from '@espalier/server/compiler/graph/index.js'
import { writeModelFile } from '@espalier/server/compiler/onnx/index.js'
import { measuringChild } from '@espalier/server/compiler/runtime/index.js'
import { MeasuringProcess, measure, measureMemory, profiles } from '@espalier/shared/measure/index.js'
import t from 'tap'

const child = measuringChild

/** A dense layer of `inner` × `inner` float32 weights. */
async function layer(file: string, inner: number, dims: (number | string)[] = ['batch', inner]) {
  const graph = new Graph({
    name: 'layer',
    nodes: [node('MatMul', ['x', 'w'], ['y'])],
    initializers: new Map([['w', floats([inner, inner], new Float32Array(inner * inner).fill(0.01))]]),
    inputs: [{ name: 'x', dtype: 'float32', dims }],
    outputs: [{ name: 'y', dtype: 'float32', dims }],
    values: new Map(),
    opsets: new Map([['', 13]]),
    metadata: new Map(),
  })
  await writeModelFile(graph, file)
  return file
}

t.test('a model of 16 MB of weights adds at least those to the base, in every process', async (t) => {
  const file = await layer(join(t.testdir(), 'a.onnx'), 2000)
  const m = await measureMemory(file, { child }, 2)
  t.ok(m.measuredRamBytes >= 16e6, `${m.measuredRamBytes}`)
  t.ok(m.measuredRamBytes < 80e6, `${m.measuredRamBytes}`)
  t.ok(m.medianRamBytes >= 16e6 && m.medianRamBytes <= m.measuredRamBytes)
  t.equal(m.processBytes - m.runtimeBaseBytes, m.measuredRamBytes)
  t.equal(m.processes, 2)
})

t.test('a brief measurement gives p95 and no p99', async (t) => {
  const file = await layer(join(t.testdir(), 'a.onnx'), 16)
  const m = await measure(file, profiles.brief, { child }, 1)
  t.equal(m.runs, 130)
  t.ok(m.p50Ms > 0 && m.p50Ms <= m.p90Ms! && m.p90Ms! <= m.p95Ms!)
  t.equal(m.p99Ms, null)
  t.ok(m.coldLoadMs > 0)
  t.same(m.inputs, [{ name: 'x', type: 'float32', dims: [1, 16] }])
  t.match(m.runtimeVersion, /^\d+\.\d+/)
})

t.test('time is bounded by seconds, and one query is always timed', async (t) => {
  const file = await layer(join(t.testdir(), 'a.onnx'), 16)
  const m = await measure(file, { ...profiles.brief, queries: 1e9, seconds: 0 }, { child }, 1)
  t.equal(m.runs, 1)
})

t.test('what cannot be measured is refused with a code', async (t) => {
  const dir = t.testdir()
  const broken = join(dir, 'broken.onnx')
  await writeFile(broken, 'no model')
  await t.rejects(measureMemory(broken, { child }, 1), { code: 'MODEL_UNSUPPORTED' })
  await t.rejects(measureMemory(join(dir, 'none.onnx'), { child }, 1), { code: 'MODEL_UNSUPPORTED' })
  const dynamic = await layer(join(dir, 'dynamic.onnx'), 4, ['batch', 'length', 4])
  await t.rejects(measureMemory(dynamic, { child }, 1), { code: 'DIMENSION_UNKNOWN', message: /--shape x=/ })
  await t.rejects(measureMemory(dynamic, { child, shapes: { x: [1, 3, 5] } }, 1), { code: 'OPTION_INVALID' })
  t.equal((await measureMemory(dynamic, { child, shapes: { x: [1, 3, 4] } }, 1)).processes, 1)
})

t.test('a process that dies, hangs or is aborted rejects with the reason', async (t) => {
  const dir = t.testdir({
    'dies.mjs': 'process.kill(process.pid, "SIGSEGV")',
    'hangs.mjs': 'setInterval(() => {}, 1000)',
  })
  const script = (name: string) => new URL(`file://${join(dir, name)}`)
  const start = MeasuringProcess.start
  await t.rejects(start({ child: script('dies.mjs') }), { code: 'MEASURING_FAILED', message: /SIGSEGV/ })
  await t.rejects(start({ child: script('hangs.mjs'), timeoutMs: 200 }), { code: 'MEASURING_FAILED' })
  const stop = new AbortController()
  const started = start({ child: script('hangs.mjs'), signal: stop.signal })
  stop.abort(new Error('enough'))
  await t.rejects(started, { message: 'enough' })
})

t.test(
  'what loading a model frees goes back to the system',
  { skip: process.platform !== 'linux' },
  async (t) => {
    const inner = 1200
    const weights = 4 * inner * inner
    const layers = 6
    const file = join(t.testdir(), 'layers.onnx')
    const names = Array.from({ length: layers }, (_, i) => `w${i}`)
    const graph = new Graph({
      name: 'layers',
      nodes: names.map((w, i) => node('MatMul', [i === 0 ? 'x' : `h${i - 1}`, w], [`h${i}`])),
      initializers: new Map(
        names.map((w, i) => [
          w,
          floats([inner, inner], new Float32Array(inner * inner).fill(0.01 + i / 1e4)),
        ]),
      ),
      inputs: [{ name: 'x', dtype: 'float32', dims: [1, inner] }],
      outputs: [{ name: `h${layers - 1}`, dtype: 'float32', dims: [1, inner] }],
      values: new Map(),
      opsets: new Map([['', 13]]),
      metadata: new Map(),
    })
    await writeModelFile(graph, file)
    const { measuredRamBytes } = await measureMemory(file, { child }, 1)
    t.ok(
      measuredRamBytes < (layers + 1.5) * weights,
      `${measuredRamBytes / weights} layers' weights, of ${layers}`,
    )
  },
)
