import { random, sampleSize, shuffled } from '../data/index.js'
import { randomMove, recoloured, sampleWriter, type Writer, writeTargets } from './batches.js'
import { drawNoise, type Noise } from './dropout.js'
import type { Samples, TrainOptions } from './options.js'

/** Writes the batches of a run, each from its step's number alone, so that a resumed run sees the same. */
export class Feeder {
  /** [batch, …] */
  readonly x: Float32Array
  /** What the outputs are to be: [batch, outputs]. */
  readonly targets: Float32Array
  /** What Dropout lets through, by input. */
  readonly noise: readonly { readonly noise: Noise; readonly data: Float32Array }[]
  readonly perEpoch: number
  readonly #data: Samples
  readonly #options: TrainOptions
  readonly #batch: number
  readonly #outputs: number
  readonly #write: Writer
  #order: Uint32Array = new Uint32Array()
  #epoch = -1

  constructor(data: Samples, options: TrainOptions, batch: number, outputs: number, noise: readonly Noise[]) {
    this.#data = data
    this.#options = options
    this.#batch = batch
    this.#outputs = outputs
    this.x = new Float32Array(batch * sampleSize(data))
    this.targets = new Float32Array(batch * outputs)
    this.noise = noise.map((n) => ({
      noise: n,
      data: new Float32Array(n.dims.reduce((a, b) => a * b, 1)),
    }))
    this.perEpoch = Math.floor(data.count / batch)
    this.#write = sampleWriter(data)
  }

  /** Writes the batch of a step that counts from 0. @returns the numbers of its samples */
  write(step: number): Uint32Array {
    const { shift = 0, flip = false, colour = 0, mixup = 0, seed = 0 } = this.#options
    const [data, batch] = [this.#data, this.#batch]
    const epoch = Math.floor(step / this.perEpoch)
    if (epoch !== this.#epoch) this.#order = shuffled(data.count, seed * 7919 + epoch)
    this.#epoch = epoch
    const from = (step % this.perEpoch) * batch
    const indices = this.#order.subarray(from, from + batch)
    const draw = random(seed * 104729 + step)
    const size = this.x.length / batch
    for (let i = 0; i < batch; i++) {
      this.#write(indices[i], this.x, i * size, randomMove(draw, shift, flip))
      if (colour > 0) recoloured(this.x.subarray(i * size, (i + 1) * size), colour, draw)
    }
    for (const n of this.noise) drawNoise(n.noise, n.data, draw)
    this.#writeTargets(indices)
    if (mixup > 0) {
      const weight = beta(mixup, draw)
      mix(this.x, batch, weight)
      mix(this.targets, batch, weight)
    }
    return indices
  }

  #writeTargets(indices: Uint32Array): void {
    const { labels, targets } = this.#data
    const outputs = this.#outputs
    if (labels) writeTargets(this.targets, labels, indices, outputs, this.#options.labelSmoothing ?? 0)
    else if (targets)
      for (let i = 0; i < indices.length; i++)
        this.targets.set(targets.subarray(indices[i] * outputs, (indices[i] + 1) * outputs), i * outputs)
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
