import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runtimeOf } from '@espalier/agent/measure/runtimes.js'
import { MeasuringProcess, measure, profiles } from '@espalier/shared/measure/index.js'
import t from 'tap'
import { withGolden } from '../support/golden.js'
import { testModel } from '../support/models.js'
import { runAgent } from '../support/process.js'

const script = (name: string) => new URL(import.meta.resolve(`@espalier/agent/measure/${name}`))
const scripts = { node: script('child.js'), python: script('child.py'), trtexec: script('trtexec.js') }

t.test('an operator names the runtime, and the program with its arguments', async (t) => {
  const of = (text: string) => runtimeOf(text, scripts)
  t.equal(of('onnxruntime-node'), scripts.node)
  const python = scripts.python.pathname
  t.same(of('onnxruntime-python'), { file: 'python3', args: [python] })
  t.same(of('onnxruntime-python=/opt/venv/bin/python -I'), {
    file: '/opt/venv/bin/python',
    args: ['-I', python],
  })
  t.match(of('trtexec'), { args: [scripts.trtexec.pathname, '/usr/src/tensorrt/bin/trtexec'] })
  t.match(of('trtexec=trtexec --fp16'), { args: [scripts.trtexec.pathname, 'trtexec', '--fp16'] })
  t.same(of('command=/opt/measure --fast'), { file: '/opt/measure', args: ['--fast'] })
  for (const wrong of ['', 'tflite', 'command', 'command= ', 'onnxruntime-node=x', 'toString'])
    t.throws(() => of(wrong), { code: 'OPTION_INVALID', message: /can be onnxruntime-node/ })
  const run = ['run', '--credential', 'c.json', '--state', '/nowhere']
  t.match(await runAgent(...run, '--runtime', 'tflite'), {
    status: 2,
    stderr: /--runtime 'tflite' is unknown/,
  })
  t.match(await runAgent(...run, '--runtime', 'trtexec', '--serve', '0'), {
    status: 2,
    stderr: /--serve answers with/,
  })
})

t.test('doctor tries the runtime that the agent would measure with', async (t) => {
  const absent = await runAgent('doctor', '--runtime', 'command=/nowhere/measure')
  t.equal(absent.status, 1)
  t.match(absent.stdout, /BAD {3}runtime +.*could not be started/)
})

t.test('a Python without onnxruntime says so', async (t) => {
  const child = runtimeOf('onnxruntime-python=python3 -S', scripts) // -S: without any packages
  await t.rejects(MeasuringProcess.start({ child }), {
    code: 'MEASURING_FAILED',
    message: /ended \(status 1\): ModuleNotFoundError: No module named 'numpy'/,
  })
})

const python = process.env.ESPALIER_TEST_PYTHON
if (!python) t.comment("Python's onnxruntime is tried where ESPALIER_TEST_PYTHON names a Python that has it")
else
  t.test("Python's onnxruntime measures, and answers what Node's does", async (t) => {
    const folder = t.testdir()
    const [model] = await withGolden([testModel('model', 300)], folder)
    const path = join(folder, 'model.onnx')
    const child = runtimeOf(`onnxruntime-python=${python}`, scripts)
    const options = {
      child,
      golden: model.variant.golden,
      threads: 2,
      provider: 'cpu',
      shapes: { x: [1, 300] },
    }
    const measured = await measure(path, profiles.brief, options, 1)
    t.match(measured, {
      ...{ runtime: 'onnxruntime-python', runtimeVersion: /^\d+\./, provider: 'cpu', runs: 130, p99Ms: null },
      inputs: [{ name: 'x', type: 'float32', dims: [1, 300] }],
    })
    t.ok(measured.p95Ms !== null && measured.p95Ms >= measured.p50Ms && measured.p50Ms > 0)
    t.ok(measured.measuredRamBytes >= 4 * 300 * 300 && measured.runtimeBaseBytes > 20e6)

    const wrong = async (use: (p: MeasuringProcess) => Promise<unknown>) => {
      const process = await MeasuringProcess.start({ child })
      t.ok(process.ready.providers?.includes('cpu'))
      await use(process).finally(() => process.close())
    }
    writeFileSync(join(folder, 'damaged.onnx'), 'damaged')
    await t.rejects(
      wrong((p) => p.load(join(folder, 'damaged.onnx'))),
      { code: 'MODEL_UNSUPPORTED' },
    )
    await t.rejects(
      wrong((p) => p.load(path, {}, { x: [1, 3] })),
      { code: 'OPTION_INVALID' },
    )
    await t.rejects(
      wrong((p) => p.load(path, { provider: 'abacus' })),
      { code: 'OPTION_INVALID', message: /there is no provider 'abacus'/ },
    )
  })
