import { random } from '@espalier/server/compiler/data/index.js'
import { floats, type Graph } from '@espalier/server/compiler/graph/index.js'
import { evaluate, openSession, run } from '@espalier/server/compiler/runtime/index.js'
import type { Samples, TrainOptions } from '@espalier/server/compiler/train/index.js'
import { trainHere } from '@espalier/server/compiler/train/loop.js'
import { withConstants } from '@espalier/server/compiler/train/parameters.js'
import { unfold } from '@espalier/server/compiler/train/unfold.js'
import t from 'tap'
import { Net } from '../../zoo/net.js'

/** Three convolutions with biases, one of them depthwise, one without a place to normalise over, then a classifier. */
function folded(): Graph {
  const n = new Net('folded')
  const conv = (x: string, from: number, to: number, k: number, group = 1) =>
    n.op('Conv', [x, n.weight([to, from / group, k, k]), n.weight([to], { fan: 4 })], {
      ...{ group, kernel_shape: [k, k], pads: Array(4).fill(k >> 1) },
    })
  const relu = (x: string) => n.op('Relu', [x])
  const seen = relu(conv(relu(conv(n.input('x', ['batch', 1, 8, 8]), 1, 8, 3)), 8, 8, 3, 8))
  const pooled = conv(n.op('GlobalAveragePool', [seen]), 8, 8, 1)
  return n.build(n.dense(n.op('Flatten', [pooled]), 8, 4))
}

/** Stripes whose direction and place is the class, on a light ground. */
function stripes(count: number, seed: number): Samples {
  const next = random(seed)
  const values = new Uint8Array(count * 64)
  const labels = Int32Array.from({ length: count }, () => Math.floor(next() * 4))
  for (const [i, label] of labels.entries())
    for (let p = 0; p < 64; p++) {
      const along = label < 2 ? p >> 3 : p & 7
      values[i * 64 + p] = 100 + next() * 60 + (along % (label % 2 ? 4 : 2) === 0 ? 60 : 0)
    }
  return { count, dims: [1, 8, 8], values, labels, preprocess: { scale: 1 / 64, mean: [0], std: [1] } }
}

const data = stripes(640, 1)
const judge = { ...stripes(256, 2), spec: 'judge' }
const options: TrainOptions = { epochs: 4, batch: 32, lr: 0.01, seed: 3 }
const trained = (graph: Graph, more: TrainOptions = {}) =>
  trainHere(graph, data, { ...options, ...more }, { on: () => {} })
const convolutions = (graph: Graph) => graph.nodes.filter((n) => n.op === 'Conv')
const answers = async (graph: Graph) => {
  const x = Float32Array.from({ length: 64 }, (_, i) => Math.sin(i))
  const session = await openSession(graph)
  const results = await run(session, { x: floats([1, 1, 8, 8], x) })
  await session.release()
  return Object.values(results)[0].data
}
const apart = (a: ArrayLike<unknown>, b: ArrayLike<unknown>) =>
  Math.max(...Array.from(a, (v, i) => Math.abs(Number(v) - Number(b[i]))))

t.test('behind convolutions over many places stand normalisations that change nothing', async (t) => {
  const graph = folded()
  const unfolded = await unfold(graph, data, options)
  const norms = unfolded?.graph.nodes.filter((n) => n.op === 'BatchNormalization') ?? []
  t.equal(norms.length, 2, 'none on the map of a single place')
  const [before, after] = [await answers(graph), await answers(unfolded!.graph)]
  t.ok(apart(before, [0, 0, 0, 0]) > 0.1)
  t.ok(apart(before, after) < 1e-4, `${apart(before, after)}`)
  const back = withConstants(graph, unfolded!.folded(new Map()))
  t.ok(apart(before, await answers(back)) < 1e-4, 'folded again it is what it was')
})

t.test('what was trained unfolded is the same network with other weights, and knows more', async (t) => {
  const graph = folded()
  const { constants } = await trained(graph, { unfold: true })
  for (const name of constants.keys()) t.ok(graph.constant(name), name)
  const learnt = await evaluate(withConstants(graph, constants), judge)
  const plain = await evaluate(withConstants(graph, (await trained(graph)).constants), judge)
  t.ok((learnt.loss ?? 9) < (plain.loss ?? 0), `${learnt.loss} beside ${plain.loss}`)
})

t.test('a run that is taken up ends at the same weights', async (t) => {
  const graph = folded()
  const half = await trained(graph, { unfold: true, until: 30 })
  const hooks = { on: () => {}, resume: half.state() }
  const [whole, resumed] = [
    await trained(graph, { unfold: true }),
    await trainHere(graph, data, { ...options, unfold: true }, hooks),
  ]
  t.strictSame([...resumed.constants], [...whole.constants])
})

t.test('zeros stay zeros, frozen convolutions and normalised networks stay as they are', async (t) => {
  const graph = folded()
  const [w] = convolutions(graph).map((n) => n.inputs[1])
  const { constants } = await trained(graph, {
    ...{ unfold: true, sparsity: { method: 'magnitude', sparsity: 0.5 } },
  })
  const zeros = (constants.get(w)!.data as Float32Array).filter((v) => v === 0).length
  t.equal(zeros / constants.get(w)!.data.length, 0.5)
  const frozen = await unfold(graph, data, { ...options, freeze: [w] })
  t.equal(frozen?.graph.nodes.filter((n) => n.op === 'BatchNormalization').length, 1)
  const again = await unfold(frozen!.graph, data, options)
  t.equal(again, undefined)
})
