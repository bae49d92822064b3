import { type Dataset, random } from '@espalier/server/compiler/data/index.js'
import { floats, Graph, node } from '@espalier/server/compiler/graph/index.js'
import { evaluate } from '@espalier/server/compiler/runtime/index.js'
import {
  freshWeights,
  keepLargest,
  keepPattern,
  type SparsityPlan,
  scopes,
  sharesOf,
  type TrainOptions,
  withConstants,
} from '@espalier/server/compiler/train/index.js'
import { type TrainState, trainHere } from '@espalier/server/compiler/train/loop.js'
import { gradual } from '@espalier/server/compiler/train/sparse/gradual.js'
import { progressOf } from '@espalier/server/compiler/train/sparse/plan.js'
import { softThreshold } from '@espalier/server/compiler/train/sparse/soft-threshold.js'
import t from 'tap'
import { hiddenNetwork } from '../../support/networks.js'

const next = random(1)
const centres = Array.from({ length: 5 }, () => Float32Array.from({ length: 20 }, () => next() * 2 - 1))
const count = 640
const labels = Int32Array.from({ length: count }, (_, i) => i % 5)
const data: Dataset = {
  spec: 'clouds',
  count,
  dims: [20],
  labels,
  values: Float32Array.from(
    { length: count * 20 },
    (_, i) => centres[labels[Math.floor(i / 20)]][i % 20] + (next() * 2 - 1) * 1.2,
  ),
}
const network = freshWeights(hiddenNetwork(['n', 20], 32, 5), 1)
const options: TrainOptions = { epochs: 20, batch: 32, lr: 0.01, seed: 2 }
const weights = ['w', 'v']
const values = (g: Graph, name: string) => g.constant(name)!.data as Float32Array
const zeros = (g: Graph, names = weights) =>
  names.reduce((n, name) => n + values(g, name).filter((v) => v === 0).length, 0) /
  names.reduce((n, name) => n + values(g, name).length, 0)

async function trained(more: TrainOptions, resume?: TrainState, stopAt = Number.POSITIVE_INFINITY) {
  let state: TrainState | undefined
  let step = 0
  const { constants, history } = await trainHere(
    network,
    data,
    { ...options, ...more, maxSteps: undefined },
    {
      on: () => {},
      resume,
      between(now) {
        if (resume || step++ !== stopAt) return
        state = now()
        throw new Error('stopped')
      },
    },
  ).catch((thrown) => {
    if (state) return { constants: new Map(), history: undefined }
    throw thrown
  })
  return { graph: withConstants(network, constants), history, state }
}

t.test('the lowest go, in each layer or wherever they are, and exactly as many as asked', async (t) => {
  const scores = [Float32Array.of(5, 1, 4, 2), Float32Array.of(0.1, 9, 0.3, 0.2, 8, 7)]
  t.same(
    keepLargest(scores, [0.5, 0.5]).map((m) => [...m]),
    [
      [1, 0, 1, 0],
      [0, 1, 0, 0, 1, 1],
    ],
  )
  t.same(
    keepLargest(scores, 0.5).map((m) => [...m]),
    [
      [1, 0, 1, 0],
      [0, 1, 0, 0, 1, 1],
    ],
  )
  t.same(
    keepLargest(scores, 0.3).map((m) => [...m]),
    [
      [1, 1, 1, 1],
      [0, 1, 0, 0, 1, 1],
    ],
  )
  t.same([...keepLargest([new Float32Array(6)], [0.5])[0]], [0, 0, 0, 1, 1, 1], 'ties')
  t.same([...keepLargest([Float32Array.of(1, 2)], [1])[0]], [0, 1], 'one stays')
  const many = Float32Array.from({ length: 5000 }, () => Math.floor(next() * 50))
  for (const share of [0.01, 0.37, 0.9, 0.999]) {
    const [mask] = keepLargest([many], [share])
    const gone = many.filter((_, i) => mask[i] === 0)
    t.equal(gone.length, Math.round(share * 5000))
    t.ok(Math.max(...gone) <= Math.min(...many.filter((_, i) => mask[i] === 1)))
  }
})

t.test(
  'Erdős–Rényi kernels: what stays is as the sum of dimensions over their product, whole where that is more than all',
  async (t) => {
    const layers = [
      [16, 3, 3, 3],
      [32, 16, 3, 3],
      [64, 32, 3, 3],
      [10, 64],
    ]
    const sizes = [432, 4608, 18_432, 640]
    for (const sparsity of [0.1, 0.5, 0.9, 0.99]) {
      const shares = sharesOf('erk', layers, sparsity)
      if (typeof shares === 'number') throw new Error('one share a layer was expected')
      const left = shares.reduce((n, share, k) => n + (1 - share) * sizes[k], 0)
      t.ok(Math.abs(left - (1 - sparsity) * 24_112) < 1e-6, `${left} weights are left`)
      t.ok(shares.every((s) => s >= 0 && s < 1))
      const scales = shares.flatMap((s, k) =>
        s > 0 ? [((1 - s) * sizes[k]) / layers[k].reduce((n, d) => n + d, 0)] : [],
      )
      t.ok(Math.max(...scales) / Math.min(...scales) < 1 + 1e-9, `${scales}`)
    }
    t.match(sharesOf('erk', layers, 0.5), { 0: 0, 3: 0 }, 'small layers stay whole')
  },
)

t.test('a pattern keeps n of each m along the axis that is read', async (t) => {
  t.same(
    [...keepPattern(Float32Array.of(1, 4, 3, 2, 8, 5, 6, 7), [2, 4], 1, { n: 2, m: 4 })],
    [0, 1, 1, 0, 1, 0, 0, 1],
  )
  t.same(
    [...keepPattern(Float32Array.of(1, 4, 3, 2, 8, 5, 6, 7), [4, 2], 0, { n: 1, m: 2 })],
    [0, 1, 1, 0, 1, 0, 0, 1],
  )
  t.same([...keepPattern(Float32Array.of(3, 1, 2), [3], 0, { n: 1, m: 2 })], [1, 0, 1], 'a rest stays whole')
})

t.test('the cubic schedule is that of the paper', async (t) => {
  const plan: SparsityPlan = { method: 'magnitude', sparsity: 0.8, begin: 0.2, end: 0.6 }
  t.same(
    [0, 19, 60, 99].map((s) => progressOf(plan, s, 100)),
    [0, 0, 1, 1],
  )
  t.ok(Math.abs(progressOf(plan, 40, 100) - (1 - 0.5 ** 3)) < 1e-12)
})

t.test('magnitude: zeros grow to exactly the share asked for, and the network still knows', async (t) => {
  for (const scope of scopes) {
    const { graph } = await trained({ sparsity: { method: 'magnitude', sparsity: 0.8, scope } })
    t.ok(Math.abs(zeros(graph) - 0.8) < 0.002, `${scope}: ${zeros(graph)}`)
    const { top1 } = await evaluate(graph, data)
    t.ok((top1 ?? 0) > 0.8, `${scope}: top-1 ${top1}`)
  }
})

t.test('zeros stay where they are once chosen, unless they may return', async (t) => {
  const run = (returning: boolean) => {
    const fed = [Float32Array.of(1, 2, 3, 4)]
    const plan: SparsityPlan = { method: 'magnitude', sparsity: 0.5, begin: 0, end: 0.1, every: 1, returning }
    const s = gradual({ fed, dims: [[4]], sparse: [true], steps: 100, lr: 0.1 }, plan)
    s.before(10)
    const first = [...fed[0]]
    const gradient = Float32Array.of(-100, 1, 1, 1)
    s.back([gradient])
    for (let i = 0; i < 4; i++) s.weights[0][i] -= 0.1 * gradient[i]
    s.before(11)
    return { first, after: [...fed[0]].map((v) => v !== 0) }
  }
  t.same(run(false), { first: [0, 0, 3, 4], after: [false, false, true, true] })
  t.same(run(true), { first: [0, 0, 3, 4], after: [true, false, false, true] })
})

t.test('movement: scores are the sum of −lr · w · ∂L/∂w, and masked weights keep their values', async (t) => {
  const fed = [Float32Array.of(1, -1, 2, 0.5)]
  const s = gradual(
    { fed, dims: [[4]], sparse: [true], steps: 10, lr: 1 },
    { method: 'movement', sparsity: 0.5, begin: 0, end: 0.1 },
  )
  s.before(0)
  const gradient = Float32Array.of(1, 1, -0.1, -1)
  const [movement] = s.back([gradient])
  t.same(
    [...movement].map((v) => Math.round(v * 1e6) / 1e6),
    [1, -1, -0.2, -0.5],
    'w · ∂L/∂w',
  )
  for (let i = 0; i < 4; i++) s.learnt[0].value[i] -= movement[i]
  s.before(1)
  t.same([...fed[0]], [0, -1, 0, 0.5], 'those that move towards zero go, however large')
  t.same([...s.weights[0]], [1, -1, 2, 0.5])
  t.equal(s.learnt[0].rate, 0.01, 'scores have a rate of their own')
})

t.test('soft thresholds: value and gradients are those of the paper, by finite differences', async (t) => {
  const fed = [Float32Array.of(0.9, -0.2, -0.7)]
  const s = softThreshold(
    { fed, dims: [[3]], sparse: [true], steps: 1, lr: 0.1 },
    { method: 'str', initial: -1 },
  )
  // A loss that is linear in what the network runs with.
  const slope = [0.3, 0.5, -0.4]
  const loss = () => {
    s.before(0)
    return fed[0].reduce((sum, v, i) => sum + v * slope[i], 0)
  }
  loss()
  const least = 1 / (1 + Math.E)
  t.ok(
    Math.abs(fed[0][0] - (0.9 - least)) < 1e-6 && fed[0][1] === 0 && Math.abs(fed[0][2] + 0.7 - least) < 1e-6,
  )
  const gradients = [Float32Array.from(slope)]
  const [[byThreshold]] = s.back(gradients)
  t.equal(gradients[0][1], 0)
  const threshold = s.learnt[0].value
  threshold[0] = -1 + 1e-2
  const up = loss()
  threshold[0] = -1 - 1e-2
  t.ok(Math.abs((up - loss()) / 2e-2 - byThreshold) < 1e-3, `${byThreshold}`)
})

t.test(
  'every method makes zeros while it trains, and goes on from a checkpoint to the same weights',
  async (t) => {
    const plans: SparsityPlan[] = [
      { method: 'magnitude', sparsity: 0.7, returning: true, every: 7 },
      { method: 'movement', sparsity: 0.7 },
      { method: 'soft-movement', penalty: 30, rate: 0.05 },
      { method: 'str', initial: -5, rate: 0.05, decay: 0.05 },
    ]
    for (const sparsity of plans) {
      const more = { epochs: 8, sparsity, average: 0.9 }
      const whole = await trained(more)
      const { state } = await trained(more, undefined, 77)
      const resumed = await trained(more, state)
      for (const name of weights)
        t.same([...values(resumed.graph, name)], [...values(whole.graph, name)], `${sparsity.method} ${name}`)
      const share = zeros(whole.graph)
      t.ok(share > 0.1 && share < 0.99, `${sparsity.method}: ${share} are zero`)
      if (sparsity.sparsity) t.ok(Math.abs(share - 0.7) < 0.01)
      t.ok(((await evaluate(whole.graph, data)).top1 ?? 0) > 0.6, sparsity.method)
    }
  },
)

t.test('plans that make no sense are refused', async (t) => {
  for (const sparsity of [
    { method: 'magnitude' },
    { method: 'movement', sparsity: 1 },
    { method: 'magnitude', sparsity: 0.5, begin: 0.8, end: 0.2 },
    { method: 'magnitude', sparsity: 0.5, every: 0 },
  ] as const)
    await t.rejects(trained({ sparsity }), { code: 'OPTION_INVALID' })
  await t.rejects(trained({ sparsity: { method: 'magnitude', sparsity: 0.5 }, keepZeros: true }), {
    code: 'OPTION_INVALID',
  })
})

t.test('fresh weights are drawn by their fans, and the same seed draws the same', async (t) => {
  const wide = new Graph({
    ...hiddenNetwork(['n', 20], 400, 5),
    nodes: [
      node('MatMul', ['x', 'w'], ['h']),
      node('BatchNormalization', ['h', 's', 'b', 'm', 'var'], ['n1']),
      node('MatMul', ['n1', 'v'], ['y']),
    ],
    initializers: new Map([
      ['w', floats([20, 400], new Float32Array(8000))],
      ['v', floats([400, 5], new Float32Array(2000))],
      ...['s', 'b', 'm', 'var'].map((name) => [name, floats([400], new Float32Array(400).fill(7))] as const),
    ]),
  })
  const graph = freshWeights(wide, 3)
  for (const [name, fans] of [
    ['w', 420],
    ['v', 405],
  ] as const) {
    const variance = values(graph, name).reduce((s, v) => s + v * v, 0) / values(graph, name).length
    t.ok(Math.abs((variance * fans) / 2 - 1) < 0.1, `${name}: ${variance}`)
  }
  t.same(
    ['s', 'b', 'm', 'var'].map((name) => values(graph, name)[9]),
    [1, 0, 0, 1],
  )
  const drawn = (seed: number) => [...values(freshWeights(wide, seed), 'w').subarray(0, 20)]
  t.same(drawn(3), [...values(graph, 'w').subarray(0, 20)])
  t.notSame(drawn(4), drawn(3))
})
