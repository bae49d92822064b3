import { random } from '@espalier/server/compiler/data/index.js'
import { floats, type Graph, type Tensor } from '@espalier/server/compiler/graph/index.js'
import { evaluate } from '@espalier/server/compiler/runtime/index.js'
import { taylor } from '@espalier/server/compiler/saliency/index.js'
import { prunable } from '@espalier/server/compiler/surgery/index.js'
import t from 'tap'
import { architectures, invertedResidual } from '../../zoo/index.js'

const next = random(4)
const count = 16
const data = {
  spec: 'noise',
  count,
  dims: [3, 8, 8],
  values: Float32Array.from({ length: count * 192 }, () => next() * 4 - 2),
  labels: Int32Array.from({ length: count }, (_, i) => i % 5),
}

/** The graph with the given slices of its constants multiplied. */
function scaled(
  graph: Graph,
  slices: readonly { tensor: string; axis: number; indices: readonly number[] }[],
  by: number,
): Graph {
  const initializers = new Map<string, Tensor>(graph.initializers)
  for (const { tensor, axis, indices } of slices) {
    const { dims, data } = initializers.get(tensor)!
    const inner = dims.slice(axis + 1).reduce((n, d) => n * d, 1)
    const values = (data as Float32Array).map((v, i) =>
      indices.includes(Math.floor(i / inner) % dims[axis]) ? v * by : v,
    )
    initializers.set(tensor, floats(dims, values))
  }
  return graph.with({ initializers })
}

t.test('a unit is worth what scaling its activation changes the loss by', async (t) => {
  const { coupling } = await prunable(invertedResidual())
  const scores = await taylor(coupling, data, { samples: count, batch: count })
  const loss = async (graph: Graph) => (await evaluate(graph, data)).loss!
  let compared = 0
  for (const [g, group] of coupling.groups.entries()) {
    const slopes = []
    for (const unit of group.units) {
      // What reads a channel: axis 1 of plain convolutions and of the classifier.
      const reading = unit.slices.filter(
        (s) => s.axis === 1 && coupling.graph.constant(s.tensor)!.dims.length > 1,
      )
      const step = 0.02
      const rise =
        (await loss(scaled(coupling.graph, reading, 1 + step))) -
        (await loss(scaled(coupling.graph, reading, 1 - step)))
      slopes.push(Math.abs(rise / (2 * step)))
    }
    const mean = slopes.reduce((a, b) => a + b, 0) / slopes.length
    for (const [u, slope] of slopes.entries()) {
      compared++
      t.ok(
        Math.abs(scores[g][u] - slope / mean) < 0.03,
        `${group.label} ${u}: ${scores[g][u]} = ${slope / mean}`,
      )
    }
  }
  t.ok(compared > 10)
})

t.test('a block is worth what scaling each output of its branch changes the loss by', async (t) => {
  const residual = architectures.find((a) => a.name === 'ResNet pre-activation')
  if (!residual) throw new Error('the zoo has a pre-activated ResNet')
  const { coupling } = await prunable(residual.make())
  const images = {
    ...data,
    dims: [3, 16, 16],
    values: Float32Array.from({ length: 16 * 768 }, () => next() * 4 - 2),
  }
  const scores = (await taylor(coupling, images, { samples: count, batch: count }))[coupling.groups.length]
  const loss = async (graph: Graph) => (await evaluate(graph, images)).loss!
  const step = 0.02
  const slopes = []
  for (const { slices } of coupling.blocks) {
    let sum = 0
    for (const index of slices[0].indices) {
      const output = slices.map((s) => ({ ...s, indices: [index] }))
      const rise =
        (await loss(scaled(coupling.graph, output, 1 + step))) -
        (await loss(scaled(coupling.graph, output, 1 - step)))
      sum += Math.abs(rise / (2 * step))
    }
    slopes.push(sum)
  }
  const mean = slopes.reduce((a, b) => a + b, 0) / slopes.length
  t.equal(scores.length, 3)
  for (const [b, slope] of slopes.entries())
    t.ok(Math.abs(scores[b] - slope / mean) < 0.03, `block ${b}: ${scores[b]} = ${slope / mean}`)
})

t.test('without labels there is no loss to expand', async (t) => {
  const { coupling } = await prunable(invertedResidual())
  const { labels: _, ...unlabelled } = data
  await t.rejects(taylor(coupling, unlabelled), { code: 'DATA_UNLABELLED' })
})
