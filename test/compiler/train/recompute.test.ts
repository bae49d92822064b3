import { random } from '@espalier/server/compiler/data/index.js'
import { elementCount, floats, type Graph, node } from '@espalier/server/compiler/graph/index.js'
import { run } from '@espalier/server/compiler/runtime/index.js'
import { openStep } from '@espalier/server/compiler/train/blocks.js'
import { freshWeights, type Samples, withConstants } from '@espalier/server/compiler/train/index.js'
import { trainHere } from '@espalier/server/compiler/train/loop.js'
import { matching } from '@espalier/server/compiler/train/loss.js'
import { stepBytes } from '@espalier/server/compiler/train/step-memory.js'
import { trainingGraph } from '@espalier/server/compiler/train/training-graph.js'
import t from 'tap'
import { convNetwork } from '../../support/networks.js'
import { architectures } from '../../zoo/index.js'

/** A step's loss and gradients, by their names, with drawn inputs. */
async function step(graph: Graph, shapes: ReadonlyMap<string, readonly number[]>, memory?: number) {
  const names = graph.outputs.map((o) => o.name)
  const tg = await trainingGraph(graph, { shapes, batchNorm: 'batch', loss: matching(names), memory })
  const draw = random(4)
  const feeds = Object.fromEntries(
    tg.graph.inputs.map(({ name, dtype, dims }) => {
      const constant = graph.constant(name)
      const size = elementCount((dims ?? []) as number[])
      if (constant) return [name, constant]
      const data =
        dtype === 'int64'
          ? BigInt64Array.from({ length: size }, () => BigInt(Math.floor(draw() * 2)))
          : Float32Array.from({ length: size }, () => draw() - 0.5)
      return [name, { dtype, dims: dims as number[], data }]
    }),
  )
  const session = await openStep(tg.graph)
  const results = await run(session, feeds)
  await session.release()
  const gradients = [...tg.gradients].map(
    ([weight, name]) => [weight, results[name].data as Float32Array] as const,
  )
  return { tg, loss: (results[tg.loss].data as Float32Array)[0], gradients: new Map(gradients) }
}

const networks = ['ResNet basic', 'MobileNet 3', 'U-Net', 'BERT', 'CRNN']
for (const { name, make } of architectures.filter((a) => networks.includes(a.name)))
  t.test(
    `${name}: gradients are the same where values are computed again, and a step takes less`,
    async (t) => {
      const graph = make()
      const shapes = new Map(
        graph.inputs.map(
          ({ name, dims }) => [name, [16, ...(dims ?? []).slice(1).map((d) => Number(d) || 16)]] as const,
        ),
      )
      const plain = await step(graph, shapes, 2 ** 40)
      const bytes = plain.tg.memory?.predictedBytes ?? 0
      t.equal(plain.tg.memory?.segments, 1)
      const again = await step(graph, shapes, Math.round(0.9 * bytes))
      const { predictedBytes = bytes, plainBytes, segments = 1 } = again.tg.memory ?? {}
      t.ok(
        segments > 1 && predictedBytes <= 0.9 * bytes,
        `${segments} segments: ${predictedBytes} of ${bytes}`,
      )
      t.equal(plainBytes, bytes)
      t.equal(predictedBytes, await stepBytes(again.tg.graph))
      t.ok(plain.loss > 0 && Math.abs(again.loss / plain.loss - 1) < 1e-6)
      const scale = Math.sqrt(
        [...plain.gradients.values()].flatMap((g) => [...g]).reduce((sum, v) => sum + v * v, 0),
      )
      for (const [weight, gradient] of plain.gradients) {
        const now = again.gradients.get(weight)
        const gap = gradient.reduce((most, v, i) => Math.max(most, Math.abs(v - (now?.[i] ?? Number.NaN))), 0)
        t.ok(gap <= 1e-6 * scale, `${weight}: ${gap} of ${scale}`)
      }
    },
  )

/** So many convolutions before a dense layer. */
function chain(length: number): Graph {
  const base = convNetwork([8, 8], 3)
  const kernel = { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }
  const layers = Array.from({ length }, (_, i) => [
    node('Conv', [i === 0 ? 'x' : `r${i - 1}`, `w${i}`], [`c${i}`], kernel),
    node('Relu', [`c${i}`], [`r${i}`]),
  ])
  const weights = layers.map(
    (_, i) => [`w${i}`, floats([8, i === 0 ? 1 : 8, 3, 3], new Float32Array(i === 0 ? 72 : 576))] as const,
  )
  const graph = base.with({
    nodes: [
      ...layers.flat(),
      node('GlobalAveragePool', [`r${length - 1}`], ['p']),
      node('Flatten', ['p'], ['f']),
      node('Gemm', ['f', 'dense', 'b3'], ['y'], { transB: 1 }),
    ],
    initializers: new Map([...weights, ['dense', base.constant('w3')!], ['b3', base.constant('b3')!]]),
  })
  return freshWeights(graph, 1)
}

t.test('a training ends in the same weights, bit for bit; what cannot be met is refused', async (t) => {
  const graph = chain(8)
  const draw = random(2)
  const data: Samples = {
    ...{ count: 96, dims: [1, 12, 12] },
    values: Float32Array.from({ length: 96 * 144 }, () => draw() - 0.5),
    labels: Int32Array.from({ length: 96 }, (_, i) => i % 3),
  }
  const options = { epochs: 2, batch: 32, seed: 1 }
  const plain = await trainHere(graph, data, options, { on: () => {} })
  t.equal(plain.history.memory, undefined, 'where there is enough nobody asks')
  const asked = await trainHere(graph, data, { ...options, memory: 2 ** 40 }, { on: () => {} })
  const bytes = asked.history.memory?.predictedBytes ?? 0
  const less = await trainHere(
    graph,
    data,
    { ...options, memory: Math.round(0.85 * bytes) },
    { on: () => {} },
  )
  t.ok((less.history.memory?.segments ?? 1) > 1)
  const [a, b] = [plain, less].map(({ constants }) => withConstants(graph, constants))
  for (const name of ['w0', 'w4', 'w7', 'w3']) t.same(b.constant(name)?.data, a.constant(name)?.data, name)
  await t.rejects(trainHere(graph, data, { ...options, memory: 1000 }, { on: () => {} }), {
    code: 'BUDGET_UNREACHABLE',
    message: /a step takes .* at least, .* where nothing is computed again/,
  })
})

t.test('gradients of the last layers are taken first, so that less waits', async (t) => {
  const graph = chain(8)
  const { tg } = await step(graph, new Map([['x', [32, 1, 12, 12]]]))
  const { nodes } = tg.graph
  const read = new Set(nodes.flatMap((n) => n.inputs))
  const last = nodes.filter((n) => !n.outputs.some((o) => read.has(o)))
  t.same(nodes.slice(-last.length), last)
  const otherwise = tg.graph.with({ nodes: [...nodes.slice(0, -last.length), ...last.reverse()] })
  const [now, then] = [await stepBytes(tg.graph), await stepBytes(otherwise)]
  t.ok(now < 0.9 * then, `${now} of ${then}`)
})
