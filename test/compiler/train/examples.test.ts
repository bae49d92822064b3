import { random } from '@espalier/server/compiler/data/index.js'
import { elementCount, floats, type Graph, type Tensor } from '@espalier/server/compiler/graph/index.js'
import { fullName, operators } from '@espalier/server/compiler/ops/index.js'
import { openSession, run } from '@espalier/server/compiler/runtime/index.js'
import type { LossOf } from '@espalier/server/compiler/train/loss.js'
import { trainingGraph } from '@espalier/server/compiler/train/training-graph.js'
import t from 'tap'
import { attention } from '../ops/examples/attending.js'
import { linear } from '../ops/examples/linear.js'
import { moving } from '../ops/examples/moving.js'
import { normal } from '../ops/examples/normal.js'
import { pointwise } from '../ops/examples/pointwise.js'
import { recurrent } from '../ops/examples/recurrent.js'
import { reducing } from '../ops/examples/reducing.js'
import { type Examples, SIZE } from '../ops/examples/through.js'

const examples: Examples = {
  ...attention,
  ...linear,
  ...moving,
  ...normal,
  ...pointwise,
  ...recurrent,
  ...reducing,
}

/** Σ cos(i) · yᵢ over the first output: every element counts differently. */
const weighed: LossOf = ({ g, outputs }) => {
  const [{ value, dims }] = outputs.values()
  const factors = Float32Array.from({ length: elementCount(dims) }, (_, i) => Math.cos(i))
  const all = dims.map((_, i) => i)
  return g.sum(g.mul(value, g.constant(floats(dims, factors))), all)
}

/** Slopes of the loss along random directions of all weights together: by the gradient, and by walking both ways. */
async function slopes(graph: Graph, seed: number) {
  const shapes = new Map(graph.inputs.map((i) => [i.name, [2, 3, SIZE, SIZE]]))
  const tg = await trainingGraph(graph, { shapes, batchNorm: 'frozen', loss: weighed })
  const next = random(seed)
  const normal = (dims: readonly number[]) =>
    floats(
      dims,
      Float32Array.from({ length: elementCount(dims) }, () => next() * 2 - 1),
    )
  const feeds: Record<string, Tensor> = {}
  for (const { name } of tg.inputs) feeds[name] = normal([2, 3, SIZE, SIZE])
  const names = [...tg.gradients.keys()]
  const weights = new Map(names.map((name) => [name, graph.constant(name)!]))
  const direction = new Map(names.map((name) => [name, normal(weights.get(name)!.dims).data as Float32Array]))
  const session = await openSession(tg.graph)
  const at = (by: number) => {
    for (const [name, { dims, data }] of weights) {
      const d = direction.get(name)!
      feeds[name] = floats(
        dims,
        Float32Array.from(data as Float32Array, (w, i) => w + by * d[i]),
      )
    }
    return run(session, feeds)
  }
  const loss = async (by: number) => (await at(by))[tg.loss].data[0] as number
  const results = await at(0)
  let expected = 0
  let size = 0
  for (const [name, output] of tg.gradients) {
    const gradient = results[output].data as Float32Array
    for (const [i, d] of direction.get(name)!.entries()) {
      expected += d * gradient[i]
      size += gradient[i] ** 2
    }
  }
  const step = 2e-3
  const walked = ((await loss(step)) - (await loss(-step))) / (2 * step)
  await session.release()
  return { expected, walked, size: Math.sqrt(size), weights: names.length }
}

/** They jump where the weights move a value across a bound: only walking within one side shows the slope. */
const jumping = new Set(['Shrink', 'ThresholdedRelu', 'Where'])

for (const o of operators.filter(
  (o) => (o.gradient || o.lowering) && examples[fullName(o)] && !jumping.has(o.op),
))
  t.test(`networks with ${fullName(o)}: the gradient of all weights is the slope`, async (t) => {
    for (const { graph } of examples[fullName(o)]) {
      const { expected, walked, size, weights } = await slopes(graph, 3)
      t.ok(weights > 0, 'something is trained')
      t.ok(Math.abs(expected - walked) <= 0.02 * size + 1e-3, `${walked} = ${expected}, of ${size}`)
    }
  })
