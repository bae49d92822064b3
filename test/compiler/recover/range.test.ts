import { floats, type Graph } from '@espalier/server/compiler/graph/index.js'
import { recover } from '@espalier/server/compiler/recover/index.js'
import { rangeOf } from '@espalier/server/compiler/recover/range.js'
import { prunable, pruned } from '@espalier/server/compiler/surgery/index.js'
import t from 'tap'
import { noise } from '../../support/noise.js'
import { Net } from '../../zoo/index.js'

/**
 * y = a − 9·b + 2·c with a = relu(x₀), b = relu(−x₀), c = relu(−x₀ + x₁ / 2 − 1 / 2), and what reads it. Without b no sum of
 * a and c is y, but, since c is zero wherever a is not, a − c is as good as y to whom relu(y) is all.
 */
function net(read: (n: Net, y: string) => readonly string[]): Graph {
  const n = new Net('beyond')
  const matrix = (rows: readonly (readonly number[])[]) =>
    n.constant('w', floats([rows.length, rows[0].length], rows.flat()))
  const x = n.input('x', ['n', 2])
  const inner = matrix([
    [1, -1, -1],
    [0, 0, 0.5],
  ])
  const h = n.op('Relu', [n.op('Gemm', [x, inner, n.constant('b', floats([3], [0, 0, -0.5]))])])
  const y = n.op('Gemm', [h, matrix([[1], [-9], [2]]), n.constant('b', floats([1], [0]))])
  return n.build(...read(n, y))
}

async function withoutB(graph: Graph) {
  const subject = await prunable(graph)
  const units = subject.coupling.groups.flatMap((g) => g.units)
  const removed = units.filter((u) => u.slices.some((s) => s.axis === 1 && s.indices[0] === 1))
  t.equal(removed.length, 1)
  const { layers } = await recover(subject.coupling, removed, pruned(subject, removed), noise([2], 2000))
  return layers[layers.length - 1]
}

t.test('a layer need not match what no reader lets through', async (t) => {
  const rectified = await withoutB(net((n, y) => [n.op('Relu', [y])]))
  t.ok(rectified.errorBefore > 0.5, `pruned: ${rectified.errorBefore}`)
  t.ok(rectified.errorAfter < 1e-3, `repaired: ${rectified.errorAfter}`)
  const whole = await withoutB(net((n, y) => [n.op('Relu', [y]), n.op('Tanh', [y])]))
  t.ok(whole.errorAfter > 5 * rectified.errorAfter, `all of it counts: ${whole.errorAfter}`)
})

t.test(
  'ranges are those of Relu and Clip, as wide as the widest reader, and none where all counts',
  async (t) => {
    const of = (read: (n: Net, y: string) => readonly string[]) => {
      const graph = net(read)
      return rangeOf(graph, graph.nodes.findLast((n) => n.op === 'Gemm')?.outputs[0] ?? '')
    }
    const relu6 = (n: Net, y: string) => n.op('Clip', [y, n.scalar(0), n.scalar(6)])
    const high = Number.POSITIVE_INFINITY
    t.same(
      of((n, y) => [n.op('Relu', [y])]),
      { low: 0, high },
    )
    t.same(
      of((n, y) => [relu6(n, y)]),
      { low: 0, high: 6 },
    )
    t.same(
      of((n, y) => [relu6(n, y), n.op('Clip', [y, n.scalar(-1)])]),
      { low: -1, high },
    )
    t.equal(
      of((n, y) => [n.op('Relu', [y]), n.op('Tanh', [y])]),
      undefined,
    )
    t.equal(
      of((_, y) => [y]),
      undefined,
    )
  },
)
