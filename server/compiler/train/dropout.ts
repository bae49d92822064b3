import { floats, type Graph, node, numbersOf, type Value } from '../graph/index.js'
import type { Sizes } from './shapes.js'

/** An input that a value is multiplied by: 1 / (1 − ratio) with probability 1 − ratio, else 0. */
export interface Noise {
  readonly name: string
  readonly dims: readonly number[]
  /** Share that is dropped, 0 to 1. */
  readonly ratio: number
}

/**
 * Dropout that drops (Srivastava et al. 2014): what it lets through is an input of the graph, so that the same seed
 * drops the same values, in a resumed run too.
 */
export function withDropout(graph: Graph, { dims }: Sizes): { graph: Graph; noise: readonly Noise[] } {
  const noise: Noise[] = []
  const nodes = graph.nodes.map((n) => {
    if (n.op !== 'Dropout' || n.domain !== '') return n
    const [x, given] = n.inputs
    const [ratio] = numbersOf((given ? graph.constant(given) : undefined) ?? floats([], [0.5]))
    if (ratio === 0) return n
    const name = `espalier.dropout/${n.outputs[0]}`
    noise.push({ name, dims: dims.get(x) ?? [], ratio })
    return node('Mul', [x, name], n.outputs, {}, { name: n.name })
  })
  const inputs = noise.map(({ name, dims }): Value => ({ name, dtype: 'float32', dims }))
  return { graph: graph.with({ nodes, inputs: [...graph.inputs, ...inputs] }), noise }
}

/** Draws what is let through this time, in place. `random` gives numbers from 0 up to 1. */
export function drawNoise({ ratio }: Noise, into: Float32Array, random: () => number): void {
  const kept = 1 / (1 - ratio)
  for (let i = 0; i < into.length; i++) into[i] = random() < ratio ? 0 : kept
}
