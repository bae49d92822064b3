import { BatchReader, type Fed, random, shuffled } from '../data/index.js'
import { randomMove, recoloured, writeTargets } from './batches.js'
import { drawNoise, type Noise } from './dropout.js'
import { TARGETS } from './loss.js'
import type { Samples, TrainOptions } from './options.js'

/** What the batches of a run are made for: plain values. */
export interface Plan {
  readonly batch: number
  /** Numbers that the network gives a sample. */
  readonly outputs: number
  /** Name of the network's first input. */
  readonly input: string
  readonly noise: readonly Noise[]
}

/** What a batch was made of. */
export interface Drawn {
  /** Where its samples are in the data. */
  readonly indices: Uint32Array
  /** 1 for those that are mirrored. */
  readonly mirrored: Uint8Array
}

/** Writes the batches of a run, each from its step's number alone, so that a resumed run sees the same. */
export class Feeder {
  /** By input of the training graph: samples [batch, …], what outputs are to be [batch, outputs], what Dropout lets through. */
  readonly fed: ReadonlyMap<string, Fed>
  readonly #data: Samples
  readonly #options: TrainOptions
  readonly #plan: Plan
  readonly #reader: BatchReader
  readonly #targets: Float32Array
  readonly #noise: readonly { readonly noise: Noise; readonly data: Float32Array }[]
  readonly #mirrored: Uint8Array
  #order: Uint32Array = new Uint32Array()
  #epoch = -1

  constructor(data: Samples, options: TrainOptions, plan: Plan) {
    const { batch, outputs, input, noise } = plan
    this.#data = data
    this.#options = options
    this.#plan = plan
    this.#reader = new BatchReader(data, batch, input)
    this.#targets = new Float32Array(batch * outputs)
    this.#mirrored = new Uint8Array(batch)
    this.#noise = noise.map((n) => ({
      noise: n,
      data: new Float32Array(n.dims.reduce((a, b) => a * b, 1)),
    }))
    const float = (dims: readonly number[], data: Float32Array): Fed => ({ dtype: 'float32', dims, data })
    this.fed = new Map([
      ...this.#reader.fed,
      [TARGETS, float([batch, outputs], this.#targets)],
      ...this.#noise.map((n) => [n.noise.name, float(n.noise.dims, n.data)] as const),
    ])
  }

  /** Writes the batch of a step that counts from 0. */
  async write(step: number): Promise<Drawn> {
    const { seed = 0 } = this.#options
    const { batch } = this.#plan
    const perEpoch = Math.floor(this.#data.count / batch)
    const epoch = Math.floor(step / perEpoch)
    if (epoch !== this.#epoch) this.#order = shuffled(this.#data.count, seed * 7919 + epoch)
    this.#epoch = epoch
    const from = (step % perEpoch) * batch
    const indices = this.#order.subarray(from, from + batch)
    await this.writeAt(indices, random(seed * 104729 + step))
    return { indices, mirrored: this.#mirrored }
  }

  /** Writes the samples at `indices`, as many as a batch has. */
  async writeAt(indices: Uint32Array, draw = random(0)): Promise<void> {
    const { shift = 0, flip = false, colour = 0, mixup = 0 } = this.#options
    const { batch, input } = this.#plan
    let i = 0
    await this.#reader.read(indices, (write, sample) => {
      const move = randomMove(draw, shift, flip)
      this.#mirrored[i++] = move?.mirror ? 1 : 0
      write(move)
      if (colour > 0) recoloured(sample, colour, draw)
    })
    for (const { noise, data } of this.#noise) drawNoise(noise, data, draw)
    this.#writeTargets(indices)
    const x = this.#reader.fed.get(input)?.data
    if (mixup > 0 && x instanceof Float32Array) {
      const weight = beta(mixup, draw)
      mix(x, batch, weight)
      mix(this.#targets, batch, weight)
    }
  }

  #writeTargets(indices: Uint32Array): void {
    const { labels, targets } = this.#data
    const { outputs } = this.#plan
    if (labels) writeTargets(this.#targets, labels, indices, outputs, this.#options.labelSmoothing ?? 0)
    else if (targets)
      for (let i = 0; i < indices.length; i++)
        this.#targets.set(targets.subarray(indices[i] * outputs, (indices[i] + 1) * outputs), i * outputs)
  }
}

/** A number of the distribution Beta(a, a), 0 < a ≤ 1 (Jöhnk 1964). */
function beta(a: number, draw: () => number): number {
  for (;;) {
    const [u, v] = [draw() ** (1 / a), draw() ** (1 / a)]
    if (u + v <= 1 && u + v > 0) return u / (u + v)
  }
}

/** Each row becomes its share of itself, the rest of the next row. */
function mix(rows: Float32Array, count: number, weight: number): void {
  const size = rows.length / count
  const first = rows.slice(0, size)
  for (let i = 0; i < rows.length; i++) {
    const other = i + size < rows.length ? rows[i + size] : first[i + size - rows.length]
    rows[i] = weight * rows[i] + (1 - weight) * other
  }
}
