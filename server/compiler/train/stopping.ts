import { EspalierError } from '@espalier/shared'
import type { Graph } from '../graph/index.js'
import { evaluate } from '../runtime/index.js'
import type { TrainOptions } from './options.js'
import { withConstants } from './parameters.js'
import { copyOf, restore, type Weights } from './weights.js'

export interface Best {
  readonly epoch: number
  readonly loss: number
  readonly values: ReadonlyMap<string, Float32Array>
}

/** Early stopping (Prechelt 1998): the weights of the epoch that was best on samples held out. */
export class Stopping {
  readonly #graph: Graph
  readonly #options: NonNullable<TrainOptions['stopping']>
  readonly #weights: Weights
  best?: Best
  readonly losses: number[]

  /** @throws DATA_UNLABELLED */
  constructor(
    graph: Graph,
    weights: Weights,
    options: NonNullable<TrainOptions['stopping']>,
    resume?: { readonly best?: Best; readonly losses: readonly number[] },
  ) {
    if (!options.data.labels && !options.data.targets)
      throw new EspalierError(
        'DATA_UNLABELLED',
        'stopping early needs the loss, and so labels, of the data held out',
      )
    this.#graph = graph
    this.#weights = weights
    this.#options = options
    this.best = resume?.best
    this.losses = [...(resume?.losses ?? [])]
  }

  /** Judges the weights after an epoch that counts from 1. @returns whether the run is to go on */
  async goesOn(epoch: number, values: ReadonlyMap<string, Float32Array>): Promise<boolean> {
    const judged = withConstants(this.#graph, this.#weights.constants(values))
    const { loss } = await evaluate(judged, { ...this.#options.data, spec: 'what was held out' })
    const now = loss ?? Number.POSITIVE_INFINITY
    this.losses.push(now)
    if (!this.best || now < this.best.loss) this.best = { epoch, loss: now, values: copyOf(values) }
    return epoch - this.best.epoch < this.#options.patience
  }

  /** Whether a run that is taken up again had ended. */
  get ended(): boolean {
    return this.best !== undefined && this.losses.length - this.best.epoch >= this.#options.patience
  }

  take(values: ReadonlyMap<string, Float32Array>): void {
    if (this.best) restore(this.best.values, values)
  }
}
