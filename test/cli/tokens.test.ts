import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { loadDataset, random } from '@espalier/server/compiler/data/index.js'
import { floats, Graph, int64s, node } from '@espalier/server/compiler/graph/index.js'
import { readModelFile, writeModelFile } from '@espalier/server/compiler/onnx/index.js'
import { evaluate } from '@espalier/server/compiler/runtime/index.js'
import { freshWeights } from '@espalier/server/compiler/train/index.js'
import { zipSync } from 'fflate'
import t from 'tap'
import { npy } from '../support/arrays.js'

const execute = promisify(execFile)
const espalier = (...args: string[]) => execute(process.execPath, ['server/dist/cli/main.js', ...args])
const VOCABULARY = 24
const LENGTH = 8
const WIDTH = 16

/** Embeds tokens, takes the mean of those that the mask shows, and gives classes from it, and a number. */
function tokenNetwork(): Graph {
  const zeros = (...dims: number[]) => floats(dims, new Float32Array(dims.reduce((n, d) => n * d, 1)))
  const graph = new Graph({
    name: 'tokens',
    nodes: [
      node('Gather', ['embedding', 'input_ids'], ['e']),
      node('Cast', ['attention_mask'], ['m'], { to: 1 }),
      node('Unsqueeze', ['m', 'last'], ['m1']),
      node('Mul', ['e', 'm1'], ['shown']),
      node('ReduceSum', ['shown', 'middle'], ['sum'], { keepdims: 0 }),
      node('MatMul', ['sum', 'w'], ['h']),
      node('Relu', ['h'], ['r']),
      node('MatMul', ['r', 'v'], ['logits']),
      node('MatMul', ['r', 'u'], ['number']),
    ],
    initializers: new Map([
      ['embedding', zeros(VOCABULARY, WIDTH)],
      ['last', int64s([-1])],
      ['middle', int64s([1])],
      ['w', zeros(WIDTH, WIDTH)],
      ['v', zeros(WIDTH, 2)],
      ['u', zeros(WIDTH, 1)],
    ]),
    inputs: ['input_ids', 'attention_mask'].map((name) => ({ name, dtype: 'int64', dims: ['n', 'length'] })),
    outputs: [
      { name: 'logits', dtype: 'float32', dims: ['n', 2] },
      { name: 'number', dtype: 'float32', dims: ['n', 1] },
    ],
    values: new Map(),
    opsets: new Map([['', 17]]),
    metadata: new Map(),
  })
  return freshWeights(graph, 3)
}

/** The class is whether more of the shown tokens lie in the upper half of the vocabulary; the number is by how many. */
function samples(count: number, seed: number) {
  const next = random(seed)
  const ids = Int32Array.from({ length: count * LENGTH }, () => next() * VOCABULARY)
  const mask = Uint8Array.from(ids, (_, i) => (i % LENGTH < 3 + (((i / LENGTH) | 0) % (LENGTH - 2)) ? 1 : 0))
  const upper = (i: number) => {
    let sum = 0
    for (let k = i * LENGTH; k < (i + 1) * LENGTH; k++) if (mask[k]) sum += ids[k] >= VOCABULARY / 2 ? 1 : -1
    return sum
  }
  const each = <T>(of: (i: number) => T) => Array.from({ length: count }, (_, i) => of(i))
  const shape = [count, LENGTH]
  return {
    arrays: {
      'input_ids.npy': npy('<i8', shape, BigInt64Array.from(ids, BigInt)),
      'attention_mask.npy': npy('|u1', shape, mask),
    },
    classes: npy('<i4', [count], Int32Array.from(each((i) => (upper(i) > 0 ? 1 : 0)))),
    numbers: npy('<f8', [count], Float64Array.from(each((i) => upper(i) / 4))),
  }
}

t.test('a network of tokens and a mask goes through every command that trains', async (t) => {
  const dir = t.testdir()
  const at = (name: string) => join(dir, name)
  const [train, test] = [samples(640, 1), samples(200, 2)]
  const model = at('tokens.onnx')
  await writeModelFile(tokenNetwork(), model)
  for (const [name, part] of Object.entries({ train, test })) {
    await writeFile(at(`${name}.npz`), zipSync({ ...part.arrays, 'y.npy': part.classes }))
    await writeFile(
      at(`${name}-numbers.npz`),
      zipSync({ ...part.arrays, 'y.npy': part.numbers }, { level: 0 }),
    )
  }
  const data = ['--data', `npz:${at('train.npz')}`, '--eval', `npz:${at('test.npz')}`]
  const how = ['--batch', '32', '--lr', '0.02', '--json']
  const tuned = at('tuned.onnx')
  const first = JSON.parse(
    (await espalier('finetune', model, '-o', tuned, ...data, ...how, '--epochs', '6')).stdout,
  )
  t.ok(first.top1After > 0.9, `top-1 ${first.top1Before} → ${first.top1After}`)

  const numbers = ['--data', `npz:${at('train-numbers.npz')}`, '--eval', `npz:${at('test-numbers.npz')}`]
  const more = ['--answer', 'number', '--data-memory', '1kB', '--teacher', tuned, '--teacher-share', '0.1']
  const second = JSON.parse(
    (
      await espalier(
        'finetune',
        tuned,
        '-o',
        at('numbers.onnx'),
        ...numbers,
        ...more,
        ...how,
        '--epochs',
        '6',
      )
    ).stdout,
  )
  t.ok(
    second.heldLossAfter < 0.2 * second.heldLossBefore,
    `${second.heldLossBefore} → ${second.heldLossAfter}`,
  )
  const evaluated = JSON.parse(
    (await espalier('eval', at('numbers.onnx'), '--data', `npz:${at('test.npz')}`, '--json')).stdout,
  )
  t.ok(evaluated.top1 > 0.85, `the other output was held to the teacher's: ${evaluated.top1}`)

  const sparse = ['--sparsity', '0.5', '--finetune', '1']
  const third = JSON.parse(
    (await espalier('sparsify', tuned, '-o', at('sparse.onnx'), ...data, ...sparse, ...how)).stdout,
  )
  t.ok(third.after.top1 > 0.85 && Math.abs(third.sparsity - 0.5) < 0.01)
  const rounds = ['--sparsity', '0.5', '--rounds', '1', '--fresh', '--epochs', '4']
  const fourth = JSON.parse((await espalier('ticket', model, ...data, ...rounds, ...how)).stdout)
  t.ok(fourth.rounds[1].top1Ticket > 0.8, `${fourth.rounds[1].top1Ticket}`)

  const shape = ['--shape', `input_ids=1,${LENGTH}`, '--shape', `attention_mask=1,${LENGTH}`]
  const out = at('variants')
  const limits = ['--params', '0.7', '--epochs', '1', '-o', out, '--json']
  const fit = JSON.parse((await espalier('fit', tuned, ...data, ...limits, ...shape)).stdout)
  t.ok(fit.variants[0].top1 > 0.8 && fit.variants[0].params < 0.7 * fit.dense.params)
  const pruned = await readModelFile(fit.variants[0].file)
  t.ok((pruned.constant('w')?.dims[1] ?? WIDTH) < WIDTH)
  t.equal((await readFile(join(out, 'report.json'), 'utf8')).includes('null,null'), false)
})

t.test('arrays that do not suit a network are refused by name, with what was expected', async (t) => {
  const dir = t.testdir()
  const graph = tokenNetwork()
  const { arrays, classes } = samples(20, 1)
  const ids = (values: number[], type = '<i4') => ({
    ...arrays,
    'input_ids.npy': npy(
      type,
      [20, LENGTH],
      type === '<i4' ? Int32Array.from(values) : Float32Array.from(values),
    ),
  })
  const plain = Array.from({ length: 20 * LENGTH }, (_, i) => i % VOCABULARY)
  const cases: Record<string, [Record<string, Uint8Array>, RegExp]> = {
    'a token too many': [
      ids(plain.with(3 * LENGTH + 2, VOCABULARY)),
      /sample 3 of 'input_ids' of '.*' holds 24; numbers from 0 to 23 were expected, the rows of the embedding/,
    ],
    'a token below zero': [ids(plain.with(0, -1)), /sample 0 of 'input_ids' .* holds -1/],
    floats: [ids(plain, '<f4'), /'input_ids' of '.*' holds floats \(f4\), but .* takes int64/],
    'one array less': [
      { 'input_ids.npy': arrays['input_ids.npy'] },
      /has no array 'attention_mask', which the network takes as int64; it holds 'input_ids'/,
    ],
    'other lengths': [
      { ...arrays, 'attention_mask.npy': npy('|u1', [19, LENGTH], new Uint8Array(19 * LENGTH)) },
      /'attention_mask' of '.*' is \[19,8\], but 'input_ids' of '.*' has 20 samples/,
    ],
    'other answers': [
      { ...arrays, 'y.npy': npy('<i4', [21], new Int32Array(21)) },
      /'y' of '.*' is \[21\], but/,
    ],
    'another length': [
      { ...arrays, 'attention_mask.npy': npy('|u1', [20, 7], new Uint8Array(140)) },
      /dimension 'length' is 8 in 'input_ids' and 7 in 'attention_mask'/,
    ],
    'another shape': [
      { ...arrays, 'attention_mask.npy': npy('|u1', [20, 2, 4], new Uint8Array(160)) },
      /input 'attention_mask' has the dynamic shape/,
    ],
  }
  for (const [what, [wrong, message]] of Object.entries(cases)) {
    const file = join(dir, 'wrong.npz')
    await writeFile(file, zipSync({ 'y.npy': classes, ...wrong }))
    for (const memory of [1e6, 1]) {
      const read = async () => evaluate(graph, await loadDataset(graph, `npz:${file}`, { memory }))
      await t.rejects(read(), { code: /^D(ATA|IMENSION)_/, message }, `${what}, ${memory}`)
    }
  }
})
