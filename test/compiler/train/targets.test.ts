import { type Dataset, imbalance, pick, random } from '@espalier/server/compiler/data/index.js'
import { floats, type Graph, int64s, node } from '@espalier/server/compiler/graph/index.js'
import { ticket } from '@espalier/server/compiler/recipes/ticket.js'
import { ticketPlot } from '@espalier/server/compiler/recipes/ticket-plot.js'
import { evaluate, openSession, run } from '@espalier/server/compiler/runtime/index.js'
import { recoloured } from '@espalier/server/compiler/train/batches.js'
import { Feeder } from '@espalier/server/compiler/train/feeder.js'
import { freshWeights, type TrainOptions, withConstants } from '@espalier/server/compiler/train/index.js'
import { trainHere } from '@espalier/server/compiler/train/loop.js'
import { TARGETS } from '@espalier/server/compiler/train/loss.js'
import t from 'tap'
import { hiddenNetwork } from '../../support/networks.js'

const next = random(1)
const count = 512
const values = Float32Array.from({ length: count * 4 }, () => next() * 2 - 1)
const at = (i: number, k: number) => values[i * 4 + k]
/** Two numbers that follow from each sample. */
const numbers: Dataset = {
  ...{ spec: 'numbers', count, dims: [4], values },
  targets: Float32Array.from({ length: count * 2 }, (_, j) => {
    const i = j >> 1
    return j % 2 === 0 ? at(i, 0) * at(i, 1) : Math.abs(at(i, 2)) - 0.5
  }),
}
/** Two properties that a sample has or not, each by itself. */
const properties: Dataset = { ...numbers, targets: numbers.targets?.map((v) => (v > 0 ? 1 : 0)) }
const network = freshWeights(hiddenNetwork(['n', 4], 48, 2), 1)
const options: TrainOptions = { epochs: 40, batch: 32, lr: 0.02, seed: 1 }
const quick = async (graph: Graph, data: Dataset, more: TrainOptions = {}) => {
  const { constants, history } = await trainHere(graph, data, { ...options, ...more }, { on: () => {} })
  return { graph: withConstants(graph, constants), history }
}

t.test('a network learns numbers by their squared error', async (t) => {
  const before = (await evaluate(network, numbers)).loss ?? 0
  const { graph, history } = await quick(network, numbers)
  const { loss, top1 } = await evaluate(graph, numbers)
  t.ok((loss ?? 1) < 0.1 * before, `${before} → ${loss}`)
  t.equal(top1, null)
  t.equal(history.epochs[0].accuracy, null)
  const first = await quick(network, numbers, { maxSteps: 1, batch: count })
  t.ok(Math.abs(first.history.lossFirst / before - 1) < 1e-4, 'training and evaluation mean the same by it')
})

t.test('properties are learnt each by itself, under a Sigmoid and without one', async (t) => {
  const ending = network.with({
    nodes: [...network.nodes.slice(0, -1), node('MatMul', ['r', 'v'], ['z']), node('Sigmoid', ['z'], ['y'])],
  })
  const { graph, history } = await quick(network, properties)
  const { loss } = await evaluate(graph, properties)
  t.ok((loss ?? 1) < 0.35, `binary cross-entropy ${loss}`)
  const before = (await evaluate(network, properties)).loss ?? 0
  const first = await quick(network, properties, { maxSteps: 1, batch: count })
  t.ok(Math.abs(first.history.lossFirst / before - 1) < 1e-4)
  const under = await quick(ending, properties)
  t.equal(under.history.lossLast, history.lossLast)
  t.ok(Math.abs(((await evaluate(under.graph, properties)).loss ?? 0) - (loss ?? 1)) < 1e-4)
})

t.test('a teacher of numbers is followed without targets, and early stopping knows their loss', async (t) => {
  const { graph: teacher } = await quick(network, numbers)
  const { targets: _, ...bare } = numbers
  const student = freshWeights(network, 9)
  const { graph } = await quick(student, bare, { loss: 'mse', teacher: { graph: teacher } })
  t.ok(((await evaluate(graph, numbers)).loss ?? 1) < 0.05)
  const { history } = await quick(network, numbers, {
    ...{ lr: 0.3, schedule: 'constant' },
    stopping: { data: numbers, patience: 2 },
  })
  t.ok(history.bestEpoch !== undefined && history.epochs.length <= 40)
})

t.test(
  'mixup mixes samples and what is wanted for them by the same shares, step by step alike',
  async (t) => {
    const data = {
      ...numbers,
      targets: undefined,
      labels: Int32Array.from({ length: count }, (_, i) => i % 2),
    }
    const mixing = { mixup: 0.5, seed: 3 }
    const plan = { batch: 8, outputs: 2, input: 'x', noise: [] }
    const [plain, mixed, again] = [{ seed: 3 }, mixing, mixing].map((o) => {
      const feeder = new Feeder(data, o, plan)
      const array = (name: string) => feeder.fed.get(name)?.data as Float32Array
      return { write: (step: number) => feeder.write(step), x: array('x'), targets: array(TARGETS) }
    })
    for (const step of [0, 1, 70]) {
      const indices = [...(await plain.write(step)).indices]
      t.same([...(await mixed.write(step)).indices], indices)
      const share = (mixed.x[0] - plain.x[4]) / (plain.x[0] - plain.x[4])
      t.ok(share >= 0 && share <= 1)
      for (let i = 0; i < 8; i++) {
        const j = (i + 1) % 8
        const wanted = share * plain.x[i * 4 + 1] + (1 - share) * plain.x[j * 4 + 1]
        t.ok(Math.abs(mixed.x[i * 4 + 1] - wanted) < 1e-4)
        const target = share * plain.targets[i * 2] + (1 - share) * plain.targets[j * 2]
        t.ok(Math.abs(mixed.targets[i * 2] - target) < 1e-4)
      }
      await again.write(step)
      t.same([...again.x], [...mixed.x])
    }
    await t.rejects(quick(network, numbers, { mixup: 2 }), { code: 'OPTION_INVALID' })
  },
)

t.test('recolouring moves brightness and contrast within their share', async (t) => {
  const sample = Float32Array.from({ length: 100 }, () => next())
  const stats = (x: Float32Array) => {
    const mean = x.reduce((a, b) => a + b, 0) / x.length
    return { mean, deviation: Math.sqrt(x.reduce((a, b) => a + (b - mean) ** 2, 0) / x.length) }
  }
  const was = stats(sample)
  for (let i = 0; i < 20; i++) {
    const copy = sample.slice()
    recoloured(copy, 0.3, next)
    const now = stats(copy)
    t.ok(Math.abs(now.mean - was.mean) <= 0.3 * was.deviation + 1e-6)
    t.ok(Math.abs(now.deviation / was.deviation - 1) <= 0.3 + 1e-6)
    t.notSame(copy, sample)
  }
})

t.test('what is odd about classes is said', async (t) => {
  const of = (labels: number[]) => imbalance({ spec: 'D', labels: Int32Array.from(labels) }, 3)
  t.equal(of([0, 1, 2, 0, 1, 2]), undefined)
  t.match(of([1, 1, 1]), /all 3 samples of 'D' are of class 1/)
  t.match(of([0, 1, 1]), /no sample of 1 of 3 classes: 2/)
  t.match(of([0, 1, 2, 2, 2, 2]), /uneven: 4 samples of class 2, 1 of class/)
  t.equal(imbalance({ spec: 'D' }), undefined)
})

t.test('a network of several outputs, of any shape, is trained to match a teacher’s', async (t) => {
  /** Two outputs: [n, 2] and [n, 2, 3]. */
  const heads = (seed: number) => {
    const base = hiddenNetwork(['n', 4], 48, 6)
    return freshWeights(
      base.with({
        nodes: [
          ...base.nodes.slice(0, -1),
          node('MatMul', ['r', 'v'], ['six']),
          node('Reshape', ['six', 'shape'], ['boxes']),
          node('ReduceMax', ['boxes'], ['scores'], { axes: [2], keepdims: 0 }),
        ],
        initializers: new Map([...base.initializers, ['shape', int64s([-1, 2, 3])]]),
        outputs: [
          { name: 'scores', dtype: 'float32', dims: ['n', 2] },
          { name: 'boxes', dtype: 'float32', dims: ['n', 2, 3] },
        ],
      }),
      seed,
    )
  }
  const { targets: _, ...bare } = numbers
  const [teacher, student] = [heads(1), heads(2)]
  const { graph, history } = await quick(student, bare, { teacher: { graph: teacher } })
  t.ok(history.lossLast < 0.1 * history.lossFirst, `${history.lossFirst} → ${history.lossLast}`)
  t.equal(history.epochs[0].accuracy, null)
  const answers = async (g: Graph) => {
    const session = await openSession(g)
    const result = await run(session, { x: floats([count, 4], values) })
    await session.release()
    return result.boxes.data as Float32Array
  }
  const [wanted, before, after] = [await answers(teacher), await answers(student), await answers(graph)]
  const gap = (a: Float32Array) => a.reduce((sum, v, i) => sum + (v - wanted[i]) ** 2, 0)
  t.ok(gap(after) < 0.1 * gap(before))
  await t.rejects(quick(student, bare), { code: 'DATA_UNLABELLED', message: /--teacher/ })
  const odd = teacher.with({ outputs: teacher.outputs.slice(0, 1) })
  await t.rejects(quick(student, bare, { teacher: { graph: odd } }), {
    code: 'MODEL_UNSUPPORTED',
    message: /'boxes'/,
  })
})

t.test('a ticket of a network of numbers is judged by the loss', async (t) => {
  const { rounds } = await ticket(network, {
    ...{ data: numbers, judge: pick(numbers, [1, 2, 3, 4, 5, 6, 7, 8]), sparsity: 0.5, rounds: 1 },
    training: { lr: 0.02, batch: 32 },
  })
  t.equal(rounds.length, 2)
  for (const r of rounds)
    t.ok(r.top1Ticket === null && r.top1Random === null && r.lossTicket > 0 && r.lossRandom > 0)
  t.match(ticketPlot(rounds), /Lottery tickets: loss/)
})
