import { layerAxes } from '../analysis/index.js'
import { random } from '../data/index.js'
import { elementCount, floats, type Graph, type Tensor } from '../graph/index.js'
import { trainableWeights, withConstants } from './parameters.js'

/** Operators whose constant inputs scale: fresh, those are ones. */
const scaling = new Set([
  'BatchNormalization',
  'InstanceNormalization',
  'LayerNormalization',
  'GroupNormalization',
])

/**
 * The network as before any training, drawn from a seed: weights of layers normal with variance 2 / (fan in + fan out)
 * (Glorot and Bengio 2010), scales one, biases zero, statistics of batch normalisations those of unit normal inputs.
 */
export function freshWeights(graph: Graph, seed: number): Graph {
  const normal = normals(random(seed))
  const layers = layerAxes(graph)
  const isScale = new Set(
    graph.nodes.flatMap((n) =>
      n.op === 'Mul' || n.op === 'Div' ? n.inputs : scaling.has(n.op) ? [n.inputs[1]] : [],
    ),
  )
  const isSlope = new Set(graph.nodes.filter((n) => n.op === 'PRelu').map((n) => n.inputs[1]))
  const fresh = new Map<string, Tensor>()
  for (const [name, { dims }] of trainableWeights(graph)) {
    const axes = layers.get(name)
    const count = elementCount(dims)
    const deviation = axes
      ? Math.sqrt(2 / (count / dims[axes.writes] + count / dims[axes.reads]))
      : dims.length > 1
        ? 0.02
        : 0
    const around = isSlope.has(name) ? 0.25 : isScale.has(name) ? 1 : 0
    const spread = isScale.has(name) || isSlope.has(name) ? 0 : deviation
    fresh.set(
      name,
      floats(
        dims,
        Float32Array.from({ length: count }, () => around + spread * normal()),
      ),
    )
  }
  for (const n of graph.nodes) {
    if (n.op !== 'BatchNormalization') continue
    const [, , , mean, variance] = n.inputs
    for (const [name, value] of [
      [mean, 0],
      [variance, 1],
    ] as const) {
      const dims = graph.constant(name)?.dims ?? []
      fresh.set(name, floats(dims, new Float32Array(elementCount(dims)).fill(value)))
    }
  }
  return withConstants(graph, fresh)
}

/** Normal numbers by Box and Muller 1958. */
const normals = (uniform: () => number) => () =>
  Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform())
