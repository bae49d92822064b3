import { floats, numbersOf } from '@espalier/server/compiler/graph/index.js'
import { criteria, keepShare } from '@espalier/server/compiler/saliency/index.js'
import { prunable } from '@espalier/server/compiler/surgery/index.js'
import t from 'tap'
import { attention, invertedResidual, Net, plain, zoo } from '../../zoo/index.js'

for (const [name, criterion] of Object.entries(criteria)) {
  t.test(`${name}: one finite score a unit, a mean of one in each group, the same again`, async (t) => {
    for (const graph of [invertedResidual(), attention()]) {
      const { coupling } = await prunable(graph)
      const scores = criterion(coupling, { seed: 3 })
      t.same(
        scores.map((s) => s.length),
        [...coupling.groups.map((g) => g.units.length), coupling.blocks.length],
      )
      for (const s of scores.filter((s) => s.length > 0)) {
        const mean = s.reduce((sum, v) => sum + v, 0) / s.length
        t.ok(Math.abs(mean - 1) < 1e-9 && s.every((v) => v >= 0 && Number.isFinite(v)), `${[...s]}`)
      }
      t.same(criterion(coupling, { seed: 3 }), scores)
    }
  })
}

for (const name of ['l1', 'l2'] as const) {
  t.test(
    `${name}: the unit whose weights are smallest is worth least, whatever the layer's scale`,
    async (t) => {
      const net = plain()
      const [first, weight] = [...net.initializers][0]
      const inner = weight.data.length / weight.dims[0]
      for (const scale of [1, 1000]) {
        const data = Float32Array.from(weight.data as Float32Array, (v, i) =>
          Math.floor(i / inner) === 5 ? v * scale * 1e-3 : v * scale,
        )
        const { coupling } = await prunable(
          net.with({ initializers: new Map([...net.initializers, [first, floats(weight.dims, data)]]) }),
        )
        const g = coupling.groups.findIndex((group) => group.tensors[0] === first)
        const scores = [...criteria[name](coupling)[g]]
        t.equal(scores.indexOf(Math.min(...scores)), 5)
      }
    },
  )
}

t.test(
  'by magnitude a block whose last layer gives little is worth little, however wide it is',
  async (t) => {
    const n = new Net('branches')
    let x = n.conv(n.input('x', ['n', 3, 6, 6]), 3, 8)
    const last: string[] = []
    for (const width of [4, 16, 64]) {
      const inner = n.conv(x, 8, width, { k: 1 })
      last.push(n.weight([8, width, 1, 1]))
      x = n.op('Add', [x, n.op('Conv', [inner, last[last.length - 1]])])
    }
    const graph = n.build(n.head(x, 8))
    const faint = numbersOf(graph.constant(last[1])!).map((v) => v / 10)
    const initializers = new Map([...graph.initializers, [last[1], floats([8, 16, 1, 1], faint)]])
    const { coupling } = await prunable(graph.with({ initializers }))
    for (const name of ['l1', 'l2', 'bn-gamma'] as const) {
      const [a, b, c] = criteria[name](coupling)[coupling.groups.length]
      t.ok(b < 0.2 * a && b < 0.2 * c, `${name}: ${a} ${b} ${c}`)
      t.ok(Math.max(a, c) < 2 * Math.min(a, c), 'widths do not tell')
    }
  },
)

t.test('bn-gamma ranks by the scale of the normalisation alone', async (t) => {
  const net = plain()
  const norm = net.nodes.find((n) => n.op === 'BatchNormalization')
  const gamma = floats([8], [5, -8, 1, 2, 3, 4, -0.5, 7])
  const { coupling } = await prunable(
    net.with({ initializers: new Map([...net.initializers, [norm?.inputs[1] ?? '', gamma]]) }),
  )
  const g = coupling.groups.findIndex((group) => group.units.length === 8)
  const scores = [...criteria['bn-gamma'](coupling)[g]]
  const order = [...scores.keys()].sort((a, b) => scores[a] - scores[b])
  t.same(order, [6, 2, 3, 4, 5, 0, 7, 1])
})

t.test('keepShare keeps the share of each group, rounded up to the multiple, at least one', async (t) => {
  for (const graph of zoo.slice(0, 4)) {
    const { coupling } = await prunable(graph)
    const scores = criteria.random(coupling, { seed: 1 })
    for (const [share, round] of [
      [0, 1],
      [0.3, 1],
      [0.7, 1],
      [0.5, 4],
      [1, 8],
    ] as const) {
      const removed = keepShare(coupling, scores, { share, round })
      for (const [g, { units }] of coupling.groups.entries()) {
        const kept = units.filter((u) => !removed.has(u))
        const wanted = Math.max(1, Math.ceil(share * units.length - 1e-9))
        t.equal(kept.length, Math.min(units.length, Math.ceil(wanted / round) * round))
        const worth = (u: (typeof units)[number]) => scores[g][units.indexOf(u)]
        const least = Math.min(...kept.map(worth))
        t.ok(
          units.filter((u) => removed.has(u)).every((u) => worth(u) <= least),
          'the least go',
        )
      }
    }
  }
})

t.test('quantised weights are ranked by the numbers that they stand for', async (t) => {
  const [from, to] = [4, 6]
  const elements = Int8Array.from({ length: to * from * 9 }, (_, i) => ((i * 37) % 200) - 100)
  const scales = Float32Array.from({ length: to }, (_, i) => 0.01 / (i + 1))
  const points = Int8Array.from({ length: to }, (_, i) => 20 * i - 40)
  const real = Float32Array.from(elements, (v, i) => {
    const channel = Math.floor(i / (from * 9))
    return scales[channel] * (v - points[channel])
  })
  const network = (weight: (n: Net) => string) => {
    const n = new Net('quantised')
    const x = n.conv(n.input('x', ['n', 3, 6, 6]), 3, from)
    return n.build(n.head(n.op('Conv', [x, weight(n)], { pads: [1, 1, 1, 1] }), to))
  }
  const stored = network((n) =>
    n.op(
      'DequantizeLinear',
      [
        n.constant('q', { dtype: 'int8', dims: [to, from, 3, 3], data: elements }),
        n.floats([to], scales),
        n.constant('z', { dtype: 'int8', dims: [to], data: points }),
      ],
      { axis: 0 },
    ),
  )
  const meant = network((n) => n.floats([to, from, 3, 3], real))
  const [a, b] = [(await prunable(stored)).coupling, (await prunable(meant)).coupling]
  for (const name of ['l1', 'l2'] as const) {
    const [x, y] = [a, b].map((c) => criteria[name](c)[c.groups.findIndex((g) => g.units.length === to)])
    const gap = Math.max(...x.map((v, i) => Math.abs(v - y[i])))
    t.ok(gap < 1e-5 && Math.max(...x) > 1.5, `${name}: ${[...x]} and ${[...y]}`)
  }
})
