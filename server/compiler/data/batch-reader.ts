import { arrayOf, elementCount } from '../graph/index.js'
import { type Dataset, type Field, type FieldType, fieldsOf, sampleSize } from './dataset.js'
import type { Held } from './elements.js'
import { isOnDisk, readFrom } from './on-disk.js'
import { type Move, writerOf } from './writer.js'

/** What a network's input is fed. */
export interface Fed {
  readonly dtype: FieldType
  readonly dims: readonly number[]
  readonly data: Float32Array | Int32Array | BigInt64Array
}

/** Writes one sample of the first input by `write`, moved or not, and may change it afterwards. */
export type Change = (write: (move?: Move) => void, sample: Float32Array) => void

/**
 * Batches of a dataset, in arrays of its own that each read overwrites. Of samples on disk one batch is in memory, as stored
 * and as fed.
 */
export class BatchReader {
  /** By input: [batch, …]. */
  readonly fed: ReadonlyMap<string, Fed>
  /** Samples in a batch. */
  readonly size: number
  readonly #data: Pick<Dataset, 'others'> & Field
  readonly #input: string

  /** @param input name of the network's first input */
  constructor(data: Pick<Dataset, 'others'> & Field, batch: number, input: string) {
    this.size = batch
    this.#data = data
    this.#input = input
    this.fed = new Map(
      fieldsOf(data, input).map(([name, { dims, dtype = 'float32' }]) => {
        const shape = [batch, ...dims]
        return [name, { dtype, dims: shape, data: new (arrayOf(dtype))(elementCount(shape)) as Fed['data'] }]
      }),
    )
  }

  /**
   * Writes the samples at `indices`; what is left of the batch becomes zeros.
   * @throws what reading from disk throws
   */
  async read(indices: ArrayLike<number>, change?: Change): Promise<void> {
    for (const [name, field] of fieldsOf(this.#data, this.#input)) {
      const size = sampleSize(field)
      const { values, at } = await stored(field, indices)
      const { data } = this.fed.get(name)!
      const end = indices.length * size
      if (data instanceof Float32Array) {
        const write = writerOf(field)
        for (let i = 0; i < indices.length; i++) {
          const plain = (move?: Move) => write(values, at(i) * size, data, i * size, move)
          if (change && field === this.#data) change(plain, data.subarray(i * size, (i + 1) * size))
          else plain()
        }
        data.fill(0, end)
      } else if (data instanceof Int32Array) {
        for (let i = 0; i < end; i++) data[i] = values[at(Math.floor(i / size)) * size + (i % size)]
        data.fill(0, end)
      } else {
        for (let i = 0; i < end; i++) data[i] = BigInt(values[at(Math.floor(i / size)) * size + (i % size)])
        data.fill(0n, end)
      }
    }
  }
}

/** Values as stored, and where among them the samples are, in order. */
export async function stored(
  { values }: Field,
  indices: ArrayLike<number>,
): Promise<{ values: Held; at: (i: number) => number }> {
  if (!isOnDisk(values)) return { values, at: (i) => indices[i] }
  return { values: await readFrom(values, indices), at: (i) => i }
}

/** Samples `from` to `to` (exclusive) as the first input takes them: [to − from, …dims]. */
export async function batchOf(data: Dataset, from: number, to: number): Promise<Fed['data']> {
  const reader = new BatchReader({ ...data, others: undefined }, to - from, '')
  await reader.read(Array.from({ length: to - from }, (_, i) => from + i))
  return reader.fed.get('')!.data
}
