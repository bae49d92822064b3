import { captureShapes, sampleInput, xorshift } from '@espalier/server/compiler/analysis/index.js'
import { elementCount, floats, type Graph, type Tensor } from '@espalier/server/compiler/graph/index.js'
import { run } from '@espalier/server/compiler/runtime/index.js'
import { openStep } from '@espalier/server/compiler/train/blocks.js'
import type { LossOf } from '@espalier/server/compiler/train/loss.js'
import { trainingGraph } from '@espalier/server/compiler/train/training-graph.js'

/** Σ cos(i) · yᵢ over all outputs that are floats: every element counts differently. */
export const weighed: LossOf = ({ g, outputs }) => {
  const parts = [...outputs.values()].map(({ value, dims }) => {
    const factors = Float32Array.from({ length: elementCount(dims) }, (_, i) => Math.cos(i))
    const all = dims.map((_, i) => i)
    return g.sum(g.mul(value, g.constant(floats(dims, factors))), all)
  })
  return parts.length === 1 ? parts[0] : g.op('Sum', parts)
}

export interface Slopes {
  /** Slope of the loss along one random direction of all weights together, by the gradient. */
  readonly expected: number
  /** The same, by walking a little both ways. */
  readonly walked: number
  /** Norm of the whole gradient. */
  readonly size: number
  /** The weights that were differentiated for. */
  readonly weights: readonly string[]
}

/** The gradient of the loss of a network against the loss itself, on random inputs and with random directions. */
export async function slopes(graph: Graph, { seed = 3, step = 2e-3 } = {}): Promise<Slopes> {
  const { inputs } = await captureShapes(graph)
  const tg = await trainingGraph(graph, {
    shapes: new Map(Object.entries(inputs)),
    batchNorm: 'frozen',
    loss: weighed,
  })
  const random = xorshift(seed)
  const next = () => random() * 2 - 1
  const feeds: Record<string, Tensor> = Object.fromEntries(
    graph.inputs.map((v) => [v.name, sampleInput(v, inputs[v.name], next)]),
  )
  const weights = [...tg.gradients.keys()].map((name) => ({ name, ...graph.constant(name)! }))
  const directions = weights.map(({ dims }) => Float32Array.from({ length: elementCount(dims) }, next))
  const session = await openStep(tg.graph)
  try {
    const at = (by: number) => {
      for (const [k, { name, dims, data }] of weights.entries())
        feeds[name] = floats(
          dims,
          Float32Array.from(data as Float32Array, (w, i) => w + by * directions[k][i]),
        )
      return run(session, feeds)
    }
    const loss = async (by: number) => Number((await at(by))[tg.loss].data[0])
    const results = await at(0)
    let [expected, squares] = [0, 0]
    for (const [k, { name }] of weights.entries()) {
      const gradient = results[tg.gradients.get(name)!].data as Float32Array
      for (let i = 0; i < gradient.length; i++) {
        expected += directions[k][i] * gradient[i]
        squares += gradient[i] ** 2
      }
    }
    const walked = ((await loss(step)) - (await loss(-step))) / (2 * step)
    return { expected, walked, size: Math.sqrt(squares), weights: weights.map((w) => w.name) }
  } finally {
    await session.release()
  }
}
