import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { floats, node } from '@espalier/server/compiler/graph/index.js'
import { writeModel } from '@espalier/server/compiler/onnx/index.js'
import { type ErrorCode, errorCodes } from '@espalier/shared'
import t, { type Test } from 'tap'
import { hiddenNetwork } from '../support/networks.js'

const program = resolve('server/dist/cli/main.js')

interface Ended {
  status: number
  stdout: string
  stderr: string
}

/** What a user sees who types `espalier …` in `folder`. */
const espalier = (folder: string, args: readonly string[]) =>
  new Promise<Ended>((done) => {
    execFile(
      process.execPath,
      [program, ...args],
      { cwd: folder, timeout: 60_000 },
      (error, stdout, stderr) => {
        done({ status: error ? Number(error.code ?? -1) : 0, stdout, stderr })
      },
    )
  })

/** An image classifier of 4×4 images and 3 classes. */
const network = hiddenNetwork(['batch', 1, 4, 4], 8, 3)
const weight = network.initializers.get('w')!
const withWeight = (w: typeof weight) =>
  writeModel(network.with({ initializers: new Map([...network.initializers, ['w', w]]) }))
const withNodes = (...nodes: ReturnType<typeof node>[]) =>
  writeModel(network.with({ nodes: [...nodes, ...network.nodes] }))

/** An idx file (MNIST's format): bytes with these sizes. */
function idx(sizes: readonly number[], data: Uint8Array): Buffer {
  const head = Buffer.alloc(4 + 4 * sizes.length)
  head.writeUInt32BE(0x0800 + sizes.length)
  for (const [i, size] of sizes.entries()) head.writeUInt32BE(size, 4 + 4 * i)
  return Buffer.concat([head, data])
}

const images = (count: number, side: number) => {
  const pixels = Uint8Array.from({ length: count * side * side }, (_, i) => (i * 37) % 256)
  return idx([count, side, side], pixels)
}
const labels = (count: number, classes: number) =>
  idx(
    [count],
    Uint8Array.from({ length: count }, (_, i) => i % classes),
  )

const files: Record<string, Uint8Array> = {
  'good.onnx': writeModel(network),
  'zip.onnx': Buffer.from('PK\x03\x04 this is a zip'),
  'empty.onnx': new Uint8Array(0),
  'truncated.onnx': writeModel(network).subarray(0, 150),
  'cycle.onnx': withNodes(node('Add', ['b', 'x'], ['a']), node('Relu', ['a'], ['b'])),
  'missing.onnx': writeModel(network.with({ initializers: new Map() })),
  'negative.onnx': withWeight({ ...floats([1], [1]), dims: [-16, 3] }),
  'huge.onnx': withWeight({ ...floats([1], [1]), dims: [536_870_912] }),
  'nan.onnx': withWeight({ ...weight, data: new Float32Array(weight.data.length).fill(Number.NaN) }),
  'exotic.onnx': withNodes(node('Frobnicate', ['x'], ['unused'], {}, { domain: 'com.example' })),
  'dynamic.onnx': writeModel(hiddenNetwork(['batch', 1, 'height', 'width'], 8, 3)),
  'images.idx': images(60, 4),
  'labels.idx': labels(60, 3),
  'large-images.idx': images(60, 5),
  'many-labels.idx': labels(60, 7),
  'short-labels.idx': labels(59, 3),
  'cut-images.idx': images(60, 4).subarray(0, 500),
}

function folderOfFiles(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'espalier-bad-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  for (const [name, bytes] of Object.entries(files)) writeFileSync(join(folder, name), bytes)
  return folder
}

/** The command fails in one line that matches `says` and with `code`, and changes nothing in its folder. */
async function refuses(t: Test, args: readonly string[], code: ErrorCode, says: RegExp): Promise<void> {
  const folder = folderOfFiles(t)
  const { status, stdout, stderr } = await espalier(folder, [...args, '--json'])
  const title = `espalier ${args.join(' ')}`
  t.equal(status, ['OPTION_INVALID', 'SIZE_INVALID'].includes(code) ? 2 : 1, `${title}: exit status`)
  const causes = stderr.split('\n').filter((line) => line.startsWith('espalier: '))
  t.equal(causes.length, 1, `${title}: one line says why`)
  t.match(causes[0], says, `${title}: the cause`)
  t.notMatch(stderr, /^\s+at /m, `${title}: no stack`)
  t.match(JSON.parse(stdout), { error: { code, message: says } }, `${title}: a stable code`)
  t.ok((errorCodes as readonly string[]).includes(code))
  t.strictSame(readdirSync(folder).sort(), Object.keys(files).sort(), `${title}: no file appears or goes`)
  for (const [name, bytes] of Object.entries(files))
    if (!readFileSync(join(folder, name)).equals(bytes)) t.fail(`${title}: ${name} was changed`)
}

const data = 'idx:images.idx,labels.idx'

/** Every command that reads a model, as it would be typed. */
const readers = {
  inspect: (m: string) => ['inspect', m],
  prune: (m: string) => ['prune', m, '-o', 'out.onnx', '--keep', '0.5'],
  bench: (m: string) => ['bench', m, '--seconds', '1'],
  eval: (m: string, d = data) => ['eval', m, '--data', d],
  finetune: (m: string, d = data) => ['finetune', m, '--data', d, '-o', 'out.onnx', '--epochs', '1'],
  fit: (m: string, d = data) => ['fit', m, '--params', '0.5', '--data', d, '-o', 'out', '--epochs', '1'],
}

const brokenModels: [string, ErrorCode, RegExp][] = [
  ['absent.onnx', 'FILE_NOT_FOUND', /absent\.onnx/],
  ['zip.onnx', 'NOT_ONNX', /not an ONNX model/],
  ['empty.onnx', 'NOT_ONNX', /not an ONNX model/],
  ['truncated.onnx', 'NOT_ONNX', /cut short/],
  ['cycle.onnx', 'MODEL_INVALID', /cycle/],
  ['missing.onnx', 'MODEL_INVALID', /reads 'w'/],
  ['negative.onnx', 'MODEL_INVALID', /negative dimension/],
  ['huge.onnx', 'MODEL_INVALID', /declares .* but carries 4 bytes/],
]

t.test('a model that is broken is refused, and how is said', async (t) => {
  for (const [file, code, says] of brokenModels) await refuses(t, readers.inspect(file), code, says)
})

t.test('whichever command reads it', async (t) => {
  const { inspect: _, ...others } = readers
  for (const args of Object.values(others)) {
    await refuses(t, args('absent.onnx'), 'FILE_NOT_FOUND', /absent\.onnx/)
    await refuses(t, args('cycle.onnx'), 'MODEL_INVALID', /cycle/)
  }
})

t.test('an operator that the runtime does not know is named', async (t) => {
  for (const args of [readers.bench, readers.eval, readers.fit])
    await refuses(t, args('exotic.onnx'), 'MODEL_UNSUPPORTED', /Frobnicate/)
})

t.test('a dynamic dimension that nobody gave is named, with the option that gives it', async (t) => {
  for (const args of [readers.bench, readers.eval, readers.prune])
    await refuses(t, args('dynamic.onnx'), 'DIMENSION_UNKNOWN', /height.*--shape/)
})

t.test('weights that are not numbers are refused before anything is ranked by them', async (t) => {
  for (const args of [readers.prune, readers.fit])
    await refuses(t, args('nan.onnx'), 'WEIGHT_NOT_FINITE', /'w'/)
})

t.test('data that do not fit the model are refused with both shapes, or with the labels', async (t) => {
  for (const args of [readers.eval, readers.finetune, readers.fit]) {
    const on = (images: string, labels: string) => args('good.onnx', `idx:${images}.idx,${labels}.idx`)
    await refuses(t, on('large-images', 'labels'), 'DATA_SHAPE_MISMATCH', /4, 4.*5, 5/)
    await refuses(t, on('images', 'many-labels'), 'DATA_LABELS_INVALID', /3 classes|label 3/)
  }
  const on = (images: string, labels: string) => readers.eval('good.onnx', `idx:${images}.idx,${labels}.idx`)
  await refuses(t, on('images', 'short-labels'), 'DATA_INVALID', /59/)
  await refuses(t, on('cut-images', 'labels'), 'DATA_INVALID', /cut-images/)
  await refuses(t, on('absent', 'labels'), 'FILE_NOT_FOUND', /absent/)
  await refuses(t, readers.eval('good.onnx', 'csv:a.csv'), 'DATA_SPEC_INVALID', /csv:a\.csv/)
})

t.test('data that judge must not be data that taught', async (t) => {
  for (const args of [readers.finetune, readers.fit])
    await refuses(t, [...args('good.onnx'), '--eval', data], 'DATA_SHARED', /eval/)
})

t.test('prune writes model and plan, or neither', async (t) => {
  const plan = (file: string) => [...readers.prune('good.onnx'), '--plan', file]
  await refuses(t, plan('absent/plan.json'), 'WRITE_FAILED', /absent\/plan\.json.*is not there/)
  await refuses(t, plan('.'), 'WRITE_FAILED', /'\.'.*it is a folder/)
  await refuses(t, plan('./out.onnx'), 'OPTION_INVALID', /two files/)
  await refuses(
    t,
    ['prune', 'good.onnx', '-o', 'zip.onnx/x', '--keep', '0.5'],
    'WRITE_FAILED',
    /is no folder/,
  )
})

t.test(
  'where nothing can be written is said before the work, and no model is written onto itself',
  async (t) => {
    const { prune, finetune } = readers
    const others = [
      ['sparsify', 'good.onnx', '-o', 'out.onnx', '--sparsity', '0.5'],
      ['profile', 'good.onnx', '-o', 'out.onnx'],
      [
        'ticket',
        'good.onnx',
        '--data',
        data,
        '--eval',
        data,
        '--sparsity',
        '0.5',
        '--rounds',
        '1',
        '-o',
        'out.onnx',
      ],
    ]
    for (const args of [prune('good.onnx'), finetune('good.onnx'), ...others]) {
      const to = (place: string) => args.map((word) => (word === 'out.onnx' ? place : word))
      await refuses(t, to('./good.onnx'), 'OPTION_INVALID', /'\.\/good\.onnx' is the model that is read/)
      await refuses(t, to('absent/out.onnx'), 'WRITE_FAILED', /absent' is not there/)
    }
    const ontoFile = readers.fit('good.onnx').map((word) => (word === 'out' ? 'zip.onnx' : word))
    await refuses(t, ontoFile, 'WRITE_FAILED', /it is no folder/)
    await refuses(t, [...prune('good.onnx'), '--svg', '/dev/null'], 'WRITE_FAILED', /no regular file/)
  },
)

t.test('keys are asked for where a service keeps them, and nothing is left elsewhere', async (t) => {
  const asked = [
    ...['absent', '.', 'zip.onnx'].map((folder) => ['show', '--data', folder]),
    ...[['rotate'], ['renew'], ['backup', '-o', 'kept.json']].map((args) => [...args, '--data', '.']),
  ]
  for (const args of asked) await refuses(t, ['keys', ...args], 'FILE_NOT_FOUND', /no data folder .*--data/)
})

t.test('a number of threads that no runtime should have is refused', async (t) => {
  for (const threads of ['0', '100000'])
    for (const args of [readers.bench('good.onnx'), ['profile', 'good.onnx', '-o', 'out.json']])
      await refuses(t, [...args, '--threads', threads], 'OPTION_INVALID', /from 1 to 1024/)
})

t.test('a budget that is no size, and one that no pruning meets, are told apart', async (t) => {
  const fit = (memory: string) => [
    'fit',
    'good.onnx',
    '--memory',
    memory,
    '--data',
    data,
    '-o',
    'out',
    '--epochs',
    '0',
  ]
  await refuses(t, fit('4 apples'), 'SIZE_INVALID', /4 apples/)
  await refuses(t, fit('1B'), 'BUDGET_UNREACHABLE', /below|least/)
})
