import { execFile } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { random } from '@espalier/server/compiler/data/index.js'
import { floats, type Graph } from '@espalier/server/compiler/graph/index.js'
import { readModelFile, writeModelFile } from '@espalier/server/compiler/onnx/index.js'
import { prune } from '@espalier/server/compiler/recipes/index.js'
import t from 'tap'
import { convNetwork } from '../support/networks.js'
import { architectures, invertedResidual, Net, plain } from '../zoo/index.js'

const execute = promisify(execFile)
const espalier = (...args: string[]) => execute(process.execPath, ['server/dist/cli/main.js', ...args])

async function written(folder: string, graph: Graph): Promise<string> {
  const file = join(folder, 'model.onnx')
  await writeModelFile(graph, file)
  return file
}

t.test('prune --keep says before, after, check and seconds, and writes model and plan', async (t) => {
  const folder = t.testdir()
  const file = await written(folder, invertedResidual())
  const [out, plan] = [join(folder, 'out.onnx'), join(folder, 'plan.json')]
  const { stdout } = await espalier(
    'prune',
    file,
    '-o',
    out,
    '--keep',
    '0.5',
    '--plan',
    plan,
    '--check',
    '--json',
  )
  const { before, after, check, seconds } = JSON.parse(stdout)
  t.equal(after.units, before.units / 2)
  for (const key of ['macs', 'params', 'fileBytes', 'predictedRamBytes'])
    t.ok(after[key] < before[key], `${key}: ${before[key]} → ${after[key]}`)
  t.type(check.maxAbsDiff, 'number')
  t.type(seconds.prune, 'number')
  const graph = await readModelFile(out)
  for (const [name, kept] of Object.entries<Record<string, number[]>>(JSON.parse(readFileSync(plan, 'utf8'))))
    for (const [d, indices] of Object.entries(kept))
      t.equal(graph.constant(name)?.dims[Number(d)], indices.length, `${name} along ${d}`)
})

t.test('prune --depth takes residual branches, worst first, and says which went', async (t) => {
  const folder = t.testdir()
  const residual = architectures.find((a) => a.name === 'ResNet basic')
  const file = await written(folder, residual?.make() ?? plain())
  const [out, plan] = [join(folder, 'out.onnx'), join(folder, 'plan.json')]
  const options = ['--depth', '0.5', '--check', '--plan', plan]
  const { stdout } = await espalier('prune', file, '-o', out, '--keep', '1', ...options, '--json')
  const { before, after, blocks } = JSON.parse(stdout)
  t.equal(blocks.before, 4)
  t.equal(blocks.gone.length, 2)
  t.equal(after.units, before.units - 30, 'channels inside them are gone too, and no others')
  t.ok(after.macs < before.macs && after.peakActivationBytes <= before.peakActivationBytes)
  const kept = Object.values<Record<string, number[]>>(JSON.parse(readFileSync(plan, 'utf8')))
  t.ok(kept.length > 0 && kept.every((of) => of[0].length === 0))
  const { stdout: text } = await espalier('prune', file, '-o', out, '--keep', '0.5', '--depth', '0')
  t.match(text, /gone as a whole: 4 of 4 residual branches \(Add/)
})

/** Unlabelled in effect: noise, every label 0. */
function idx(folder: string, count: number): string {
  const next = random(3)
  const x = Buffer.alloc(16 + count * 144, 0)
  for (const [i, v] of [0x803, count, 12, 12].entries()) x.writeUInt32BE(v, 4 * i)
  for (let i = 16; i < x.length; i++) x[i] = 255 * next()
  const y = Buffer.alloc(8 + count)
  for (const [i, v] of [0x801, count].entries()) y.writeUInt32BE(v, 4 * i)
  writeFileSync(join(folder, 'x'), x)
  writeFileSync(join(folder, 'y'), y)
  return `idx:${join(folder, 'x')},${join(folder, 'y')}`
}

t.test('prune --recover brings the outputs back from data, and says how near', async (t) => {
  const folder = t.testdir()
  const file = await written(folder, convNetwork([12, 16], 3))
  const out = join(folder, 'out.onnx')
  const options = ['prune', file, '-o', out, '--keep', '0.5', '--criterion', 'reconstruction']
  const data = idx(folder, 80)
  const { stdout } = await espalier(...options, '--recover', '--data', data, '--json')
  const { recovered, seconds } = JSON.parse(stdout)
  t.ok(recovered.better && recovered.errorAfter < 0.5 * recovered.errorBefore, JSON.stringify(recovered))
  t.equal(recovered.samples, 80)
  t.type(seconds.recover, 'number')
  const { stdout: text } = await espalier(...options, '--recover', '--data', data)
  t.match(text, /repaired \d layers from 80 inputs: error of the outputs [\d.]+ % before, [\d.]+ % after/)
  await t.rejects(espalier(...options, '--recover'), {
    code: 2,
    stderr: /looks at data, which need no labels: give --data/,
  })
  const few = await espalier(...options, '--recover', '--data', `${data}#first=10`).catch((e) => e)
  t.match(few.stderr, /10 samples, too few .* give at least 20/)
})

t.test('prune --macs, --params and --memory meet what was asked; --round keeps multiples', async (t) => {
  const folder = t.testdir()
  const file = await written(folder, invertedResidual())
  const out = join(folder, 'out.onnx')
  const pruneTo = async (...amount: string[]) =>
    JSON.parse((await espalier('prune', file, '-o', out, '--json', ...amount)).stdout)
  const macs = await pruneTo('--macs', '0.6', '--round', '1')
  t.ok(macs.after.macs <= 0.6 * macs.before.macs)
  const params = await pruneTo('--params', '0.6', '--round', '1')
  t.ok(params.after.params <= 0.6 * params.before.params)
  const memory = await pruneTo('--memory', `${macs.before.predictedRamBytes - 1000}`)
  t.ok(memory.after.predictedRamBytes < macs.before.predictedRamBytes - 999)
  const all = await pruneTo(
    '--macs',
    '0.8',
    '--params',
    '0.5',
    '--artifact',
    `${0.9 * macs.before.fileBytes}`,
  )
  t.ok(all.after.macs <= 0.8 * all.before.macs && all.after.params <= 0.5 * all.before.params)
  t.ok(all.after.fileBytes <= 0.9 * all.before.fileBytes)
  t.equal(all.bound, 'params')
  const rounded = await pruneTo('--keep', '0.5', '--round', '4')
  t.equal(rounded.after.units, 4 + 8 + 4, 'of 6, 12 and 4 units')
})

t.test('inspect names groups, units and what is left whole, with the operator and the reason', async (t) => {
  const n = new Net('named')
  const h = n.op('Trilu', [n.conv(n.input('x', ['n', 3, 6, 6]), 3, 8)], {}, 'com.microsoft')
  const file = await written(t.testdir(), n.build(n.head(n.conv(h, 8, 6), 6)))
  const result = JSON.parse((await espalier('inspect', file, '--json')).stdout)
  for (const key of [
    'params',
    'macs',
    'fileBytes',
    'peakActivationBytes',
    'predictedRamBytes',
    'floorRamBytes',
    'opset',
    'units',
  ])
    t.type(result[key], 'number', key)
  t.equal(result.ops['com.microsoft.Trilu'], 1)
  t.equal(result.groups.length, 1)
  t.ok(result.groups[0].bytesPerUnit > 0 && result.groups[0].macsPerUnit > 0)
  const left = result.unprunable.find((u: { operator: string }) => u.operator === 'com.microsoft.Trilu')
  t.match(left, { reason: /not described/ })
  t.ok(result.prunableShare > 0 && result.prunableShare < 1)
  t.match((await espalier('inspect', file)).stdout, /left whole[\s\S]*Trilu/)
})

t.test('a network that cannot be pruned is refused with its cause', async (t) => {
  const refused = (graph: Graph, code: string, message: RegExp, options = {}) =>
    t.rejects(prune(graph, { keep: 0.5, ...options }), { code, message })
  const net = plain()
  const [name, weight] = [...net.initializers][0]
  const data = Float32Array.from(weight.data as Float32Array, (v, i) => (i === 7 ? Number.NaN : v))
  const spoilt = net.with({ initializers: new Map([...net.initializers, [name, floats(weight.dims, data)]]) })
  await refused(spoilt, 'WEIGHT_NOT_FINITE', new RegExp(`'${name}' has NaN at element 7`))

  const odd = new Net('odd')
  await refused(
    odd.build(odd.op('Wobble', [odd.input('x', [1, 3])])),
    'MODEL_UNSUPPORTED',
    /operator Wobble of node/,
  )

  const open = new Net('open')
  const fixed = open.op('Reshape', [open.input('x', ['n', 'length', 4]), open.ints([1, 17, 4])])
  const unsized = open.build(open.op('MatMul', [fixed, open.weight([4, 5])]))
  await refused(unsized, 'DIMENSION_UNKNOWN', /'length' \(axis 1\) of input 'x'.*--shape x=1,length,4/)
  await refused(net, 'OPTION_INVALID', /does not fit the model/, { shapes: { x: [1, 3] } })
  await refused(net, 'BUDGET_UNREACHABLE', /least that this network/, { keep: undefined, macs: 0.0001 })
  await refused(net, 'OPTION_INVALID', /--data/, { criterion: 'taylor' })
})

t.test('wrong usage ends with status 2, a failure with 1, and nothing is written', async (t) => {
  const folder = t.testdir()
  const file = await written(folder, plain())
  const out = join(folder, 'out.onnx')
  const wrong = [
    ['--keep', '1.5'],
    ['--keep', '0.5', '--macs', '0.5'],
    ['--memory', '4 apples'],
    ['--macs', '0'],
    [],
  ]
  for (const amount of wrong)
    await t.rejects(espalier('prune', file, '-o', out, ...amount), { code: 2 }, amount.join(' '))
  await t.rejects(espalier('prune', file, '-o', out, '--memory', '1kB'), {
    code: 1,
    stderr: /BUDGET_UNREACHABLE/,
  })
  t.notOk(existsSync(out))
})
