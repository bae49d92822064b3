import { type Dataset, random } from '@espalier/server/compiler/data/index.js'
import { floats } from '@espalier/server/compiler/graph/index.js'
import { recover } from '@espalier/server/compiler/recover/index.js'
import { criteria, keepShare, reconstruction } from '@espalier/server/compiler/saliency/index.js'
import { prunable, pruned } from '@espalier/server/compiler/surgery/index.js'
import t from 'tap'
import { attention, invertedResidual, Net } from '../../zoo/index.js'

const WIDTH = 24

/** Inputs of `rank` independent directions and a little noise: channels that say much the same. */
function correlated(seed: number, rank = 8): Dataset {
  const next = random(seed)
  const count = 500
  const basis = Float64Array.from({ length: rank * WIDTH }, () => next() * 2 - 1)
  const values = new Float32Array(count * WIDTH)
  for (let i = 0; i < count; i++) {
    const factors = Array.from({ length: rank }, () => next() * 2 - 1)
    for (let c = 0; c < WIDTH; c++)
      values[i * WIDTH + c] =
        factors.reduce((sum, f, r) => sum + f * basis[r * WIDTH + c], 0) + 0.3 * (next() - 0.5)
  }
  return { spec: 'correlated', count, dims: [WIDTH], values }
}

/** A hidden layer as wide as the input, and one that reads it. */
function hidden(seed: number) {
  const net = new Net('hidden')
  const x = net.input('x', ['n', WIDTH])
  const graph = net.build(
    net.dense(net.op('LeakyRelu', [net.dense(x, WIDTH, WIDTH)], { alpha: 0.5 }), WIDTH, 12),
  )
  const next = random(seed)
  return graph.with({
    initializers: new Map(
      [...graph.initializers].map(([name, w]) => [
        name,
        floats(
          w.dims,
          Float32Array.from({ length: w.data.length }, () => next() * 2 - 1),
        ),
      ]),
    ),
  })
}

t.test('what it leaves is repaired with less error than what other criteria leave', async (t) => {
  const total = { reconstruction: 0, l2: 0, l1: 0, random: 0 }
  for (const seed of [1, 2, 3, 4, 5, 6]) {
    const graph = hidden(seed)
    const { coupling } = await prunable(graph)
    const data = correlated(seed)
    const scores = {
      reconstruction: await reconstruction(coupling, data),
      l2: criteria.l2(coupling),
      l1: criteria.l1(coupling),
      random: criteria.random(coupling, { seed }),
    }
    for (const name of ['reconstruction', 'l2', 'l1', 'random'] as const) {
      const removed = keepShare(coupling, scores[name], { share: 0.5 })
      const subject = await prunable(graph)
      const gone = subject.coupling.groups.flatMap((g, i) =>
        g.units.filter((_, u) => removed.has(coupling.groups[i].units[u])),
      )
      const { errorAfter } = await recover(subject.coupling, gone, pruned(subject, gone), data)
      total[name] += errorAfter / 6
    }
  }
  t.comment(total)
  t.ok(total.reconstruction < 0.9 * total.l2, JSON.stringify(total))
  t.ok(total.reconstruction < 0.9 * total.l1 && total.reconstruction < 0.8 * total.random)
})

t.test('one score a unit with a mean of one, in the order in which units go; the same again', async (t) => {
  for (const [graph, dims] of [
    [invertedResidual(), [3, 8, 8]],
    [attention(), [6, 10]],
  ] as const) {
    const { coupling } = await prunable(graph, dims[0] === 6 ? { x: [2, 6, 10] } : {})
    const next = random(3)
    const size = dims.reduce<number>((n, d) => n * d, 1)
    const values = Float32Array.from({ length: 60 * size }, () => next() * 2 - 1)
    const data = { spec: 'noise', count: 60, dims, values }
    const scores = await reconstruction(coupling, data)
    for (const [g, s] of scores.entries()) {
      const mean = s.reduce((sum, v) => sum + v, 0) / s.length
      t.ok(Math.abs(mean - 1) < 1e-6 && s.every((v) => v >= 0 && Number.isFinite(v)), `${[...s]}`)
      if (s.length > 1) t.equal(new Set(s).size, s.length, `${coupling.groups[g]?.label}: no two are alike`)
    }
    t.same(await reconstruction(coupling, data), scores)
  }
})

t.test('of two equal channels one costs nothing, and then the other is worth something', async (t) => {
  const net = new Net('equal')
  const h = net.op('Relu', [net.dense(net.input('x', ['n', WIDTH]), WIDTH, 6)])
  const graph = net.build(net.dense(h, 6, 4))
  const [[, w, b]] = graph.nodes.filter((n) => n.op === 'Gemm').map((n) => n.inputs)
  const same = new Map(
    [w, b].map((name) => {
      const { dims, data } = graph.initializers.get(name)!
      const row = data.length / 6
      return [
        name,
        floats(
          dims,
          Float32Array.from(data as Float32Array, (v, i) => (i >= 5 * row ? Number(data[i - 4 * row]) : v)),
        ),
      ]
    }),
  )
  const { coupling } = await prunable(graph.with({ initializers: new Map([...graph.initializers, ...same]) }))
  const [scores] = await reconstruction(coupling, correlated(1))
  const [one, other] = [scores[1], scores[5]].sort((p, q) => p - q)
  t.ok(one < 0.02 && one < 0.02 * other, `${[...scores]}`)
})
