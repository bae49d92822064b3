import { createHash, type Hash } from 'node:crypto'
import { EspalierError } from '@espalier/shared'
import { stored } from './batch-reader.js'
import { type Dataset, fieldsOf, pick, sampleSize } from './dataset.js'
import { bytesAt, sizeOf } from './files.js'
import { shuffled } from './random.js'

/**
 * Holds a share of the samples out (at least one, and never all), drawn by `seed`: the same seed holds out the same.
 * @throws DATA_INVALID for fewer than two samples.
 */
export function holdOut(data: Dataset, seed: number, share = 0.1): { rest: Dataset; held: Dataset } {
  if (data.count < 2)
    throw new EspalierError('DATA_INVALID', `'${data.spec}' has ${data.count} sample; some must be held out`)
  const order = shuffled(data.count, seed)
  const held = Math.min(data.count - 1, Math.max(1, Math.round(data.count * share)))
  return { held: pick(data, order.subarray(0, held).sort()), rest: pick(data, order.subarray(held).sort()) }
}

/** Real sets hold a few samples twice; more than this share of the evaluation data may not be in the training data. */
const MOST_SHARED = 0.1

/**
 * Refuses evaluation on what was trained on, whatever the files are called: samples are compared by content, images by that
 * of their files.
 * @throws DATA_SHARED
 */
export async function requireDistinct(training: Dataset, evaluation: Dataset): Promise<void> {
  const digests = training.files && evaluation.files ? digestsOfFiles : digestsOfSamples
  const seen = new Set<number>()
  for await (const digest of digests(training)) seen.add(digest)
  let shared = 0
  for await (const digest of digests(evaluation)) if (seen.has(digest)) shared++
  if (shared > MOST_SHARED * evaluation.count)
    throw new EspalierError(
      'DATA_SHARED',
      `${shared} of the ${evaluation.count} samples of '${evaluation.spec}' are also in '${training.spec}'; evaluate on data that are not trained on`,
    )
}

/** 48 bits of a digest: of a million samples against as many, less than one in a hundred meets another by chance. */
const digestOf = (hash: Hash) => hash.digest().readUIntBE(0, 6)

const CHUNK_BYTES = 2 ** 23

async function* digestsOfSamples(data: Dataset): AsyncGenerator<number> {
  const fields = fieldsOf(data, '').map(([, field]) => field)
  const bytes = fields.reduce((n, f) => n + 4 * sampleSize(f), 0)
  const chunk = Math.max(1, Math.floor(CHUNK_BYTES / bytes))
  for (let from = 0; from < data.count; from += chunk) {
    const indices = Array.from({ length: Math.min(chunk, data.count - from) }, (_, i) => from + i)
    const parts = await Promise.all(fields.map((f) => stored(f, indices)))
    for (let i = 0; i < indices.length; i++) {
      const hash = createHash('sha1')
      for (const [k, { values, at }] of parts.entries()) {
        const size = sampleSize(fields[k])
        hash.update(values.subarray(at(i) * size, (at(i) + 1) * size))
      }
      yield digestOf(hash)
    }
  }
}

/** Enough of an image to tell it from any other, with its file's size. */
const START_BYTES = 2 ** 16

async function* digestsOfFiles({ files = [] }: Dataset): AsyncGenerator<number> {
  for (const path of files) {
    const size = sizeOf(path)
    const start = bytesAt({ path, offset: 0 }, 0, Math.min(size, START_BYTES))
    yield digestOf(createHash('sha1').update(`${size}:`).update(start))
  }
}
