import { createHash } from 'node:crypto'
import { EspalierError } from '@espalier/shared'
import { type Dataset, pick, sampleSize } from './dataset.js'
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
 * Refuses evaluation on what was trained on, whatever the files are called: samples are compared by content.
 * @throws DATA_SHARED
 */
export function requireDistinct(training: Dataset, evaluation: Dataset): void {
  const seen = new Set(digests(training))
  let shared = 0
  for (const digest of digests(evaluation)) if (seen.has(digest)) shared++
  if (shared > MOST_SHARED * evaluation.count)
    throw new EspalierError(
      'DATA_SHARED',
      `${shared} of the ${evaluation.count} samples of '${evaluation.spec}' are also in '${training.spec}'; evaluate on data that are not trained on`,
    )
}

function* digests({ values, count, dims }: Dataset): Generator<string> {
  const size = sampleSize({ dims })
  for (let i = 0; i < count; i++) {
    const sample = values.subarray(i * size, (i + 1) * size)
    yield createHash('sha1').update(sample).digest('base64')
  }
}
