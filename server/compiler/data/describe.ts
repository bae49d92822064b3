import { answersOf, countOf, openArrays } from './arrays.js'
import { listImages } from './images.js'
import { parseSpec } from './spec.js'

/** What can be said of data before a network is at hand. */
export interface DataFacts {
  readonly count: number
  /** Dimensions of one sample, of several arrays the first's; null for images, which take the size that the network wants. */
  readonly dims: readonly number[] | null
  /** Number of classes; null for unlabelled data. */
  readonly classes: number | null
}

/**
 * Reads labels, of images the list, of arrays their headers, and says what they are, after `#skip` and `#first`.
 * @throws DATA_SPEC_INVALID, FILE_NOT_FOUND, DATA_INVALID, DATA_TOO_LARGE, DATA_LABELS_INVALID
 */
export async function describeData(spec: string): Promise<DataFacts> {
  const { source, skip, first } = parseSpec(spec)
  const within = (count: number) => Math.max(0, Math.min(count - skip, first))
  if (source.kind === 'images') {
    const { files, classNames } = await listImages(source.folder)
    return { count: within(files.length), dims: null, classes: classNames?.length ?? null }
  }
  const { inputs, y } = await openArrays(source)
  const all = [...inputs.values()]
  const count = countOf(y ? [...all, y] : all)
  const { labels } = await answersOf(y, { skip: 0, to: count }, null)
  const classes = labels ? 1 + labels.reduce((a, b) => Math.max(a, b), -1) : null
  return { count: within(count), dims: all[0].dims.slice(1), classes }
}
