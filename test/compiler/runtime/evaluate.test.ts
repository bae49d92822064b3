import type { Dataset } from '@espalier/server/compiler/data/index.js'
import { floats, type Graph, node } from '@espalier/server/compiler/graph/index.js'
import { agreement, evaluate } from '@espalier/server/compiler/runtime/index.js'
import t from 'tap'
import { flatNetwork } from '../../support/networks.js'

const identity = (graph: Graph) =>
  graph.with({ initializers: new Map([['w', floats([3, 3], [1, 0, 0, 0, 1, 0, 0, 0, 1])]]) })

const data: Dataset = {
  spec: 'npz:x',
  count: 4,
  dims: [3],
  values: Float32Array.from([3, 1, 0, 0, 2, 1, 0, 0, 5, 9, 0, 0]),
  labels: Int32Array.from([0, 1, 2, 1]),
}

t.test('top-1, loss and classes are those of the labels', async (t) => {
  const seen: number[] = []
  const e = await evaluate(identity(flatNetwork(['n', 3], 3)), data, { batch: 3, on: (n) => seen.push(n) })
  t.same([...e.predictions], [0, 1, 2, 0])
  t.equal(e.top1, 0.75)
  t.same(e.classes, [
    { n: 1, right: 1 },
    { n: 2, right: 1 },
    { n: 1, right: 1 },
  ])
  const crossEntropy = (row: number[], label: number) =>
    Math.log(row.reduce((s, v) => s + Math.exp(v), 0)) - row[label]
  const loss =
    (crossEntropy([3, 1, 0], 0) +
      crossEntropy([0, 2, 1], 1) +
      crossEntropy([0, 0, 5], 2) +
      crossEntropy([9, 0, 0], 1)) /
    4
  t.ok(Math.abs(e.loss! - loss) < 1e-5, `${e.loss} ${loss}`)
  t.same(seen, [3, 4])
})

t.test('a network that ends in Softmax has the same loss, one of fixed batch the same answers', async (t) => {
  const net = identity(flatNetwork(['n', 3], 3))
  const plain = await evaluate(net, data)
  const soft = net.with({
    nodes: [...net.nodes, node('Softmax', ['y'], ['p'])],
    outputs: [{ ...net.outputs[0], name: 'p' }],
  })
  t.ok(Math.abs((await evaluate(soft, data)).loss! - plain.loss!) < 1e-4)
  const inThrees = identity(flatNetwork([3, 3], 3)).with({
    outputs: [{ name: 'y', dtype: 'float32', dims: [3, 3] }],
  })
  const fixed = await evaluate(inThrees, data)
  t.same([...fixed.predictions], [...plain.predictions])
  t.equal(agreement(fixed, plain), 1)
  t.equal(agreement(fixed, { ...plain, predictions: Int32Array.from([0, 1, 1, 1]) }), 0.5)
})

t.test('without labels there are answers and no accuracy', async (t) => {
  const e = await evaluate(identity(flatNetwork(['n', 3], 3)), { ...data, labels: undefined })
  t.equal(e.top1, null)
  t.equal(e.loss, null)
  t.same([...e.predictions], [0, 1, 2, 0])
})

t.test('an abort ends the evaluation with its reason', async (t) => {
  const stop = new AbortController()
  const net = identity(flatNetwork(['n', 3], 3))
  const on = () => stop.abort(new Error('enough'))
  await t.rejects(evaluate(net, data, { batch: 1, on, signal: stop.signal }), { message: 'enough' })
})
