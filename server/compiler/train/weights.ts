import { EspalierError } from '@espalier/shared'
import * as ort from 'onnxruntime-node'
import { floats, type Graph, type Tensor } from '../graph/index.js'
import type { NormLayer } from './batch-norm.js'
import { constantBehind } from './parameters.js'
import type { TrainingGraph } from './training-graph.js'

/** The newest batch weighs at least so much in the running averages; the first steps weigh more. */
const NORM_RATE = 0.03

/** Copies of everything in a network that training changes. */
export class Weights {
  /** Of the weights that have gradients, in the order of those. */
  readonly names: readonly string[]
  readonly #graph: Graph
  readonly #norms: readonly NormLayer[]
  /** What the network runs with: weights and running averages, by name. */
  readonly values = new Map<string, Float32Array>()

  /** @throws MODEL_INVALID for a weight that is no number */
  constructor(graph: Graph, { gradients, norms }: TrainingGraph) {
    this.#graph = graph
    this.#norms = norms
    this.names = [...gradients.keys()]
    for (const name of [...this.names, ...norms.flatMap((n) => [n.mean, n.variance])])
      this.values.set(name, copied(graph, name))
  }

  /** What the network runs with, in the order of `names`; written to in place. */
  get list(): readonly Float32Array[] {
    return this.names.map((n) => this.values.get(n)!)
  }

  dims(name: string): readonly number[] {
    return constantBehind(this.#graph, name)?.dims ?? []
  }

  /** Feeds that look at the copies. */
  feeds(): Record<string, ort.Tensor> {
    return Object.fromEntries(
      this.names.map((name) => [
        name,
        new ort.Tensor('float32', this.values.get(name)!, [...this.dims(name)]),
      ]),
    )
  }

  /** Takes the statistics of batch number `step`, counted from 0, into the running averages. */
  average(step: number, result: (name: string) => Float32Array): void {
    const rate = Math.max(NORM_RATE, 1 / (step + 1))
    for (const { mean, variance, batchMean, batchVariance, count } of this.#norms) {
      const unbiased = count / Math.max(1, count - 1)
      for (const [running, now, factor] of [
        [this.values.get(mean)!, result(batchMean), 1],
        [this.values.get(variance)!, result(batchVariance), unbiased],
      ] as const)
        for (let c = 0; c < running.length; c++) running[c] += rate * (now[c] * factor - running[c])
    }
  }

  /** As constants of the graph. */
  constants(values: ReadonlyMap<string, Float32Array> = this.values): Map<string, Tensor> {
    return new Map([...values].map(([n, v]) => [n, floats(this.dims(n), v)]))
  }
}

function copied(graph: Graph, name: string): Float32Array {
  const data = Float32Array.from(constantBehind(graph, name)!.data as Float32Array)
  const wrong = data.findIndex((v) => !Number.isFinite(v))
  if (wrong < 0) return data
  throw new EspalierError(
    'MODEL_INVALID',
    `weight '${name}' holds ${data[wrong]} at position ${wrong}; it cannot be trained`,
  )
}

export const copyOf = (values: ReadonlyMap<string, Float32Array>) =>
  new Map([...values].map(([n, v]) => [n, v.slice()]))

export function restore(
  from: ReadonlyMap<string, Float32Array>,
  to: ReadonlyMap<string, Float32Array>,
): void {
  for (const [name, value] of from) to.get(name)?.set(value)
}
