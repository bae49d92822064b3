import type { Preprocess } from './preprocess.js'

/**
 * Inputs of a network, whole in memory as they were stored (8-bit pixels stay bytes) and made into floats a batch
 * at a time. It is what `train` takes as samples.
 */
export interface Dataset {
  /** Where it came from, as the user wrote it. */
  readonly spec: string
  readonly count: number
  /** Dimensions of one sample, without the batch axis. */
  readonly dims: readonly number[]
  /** `count` samples after each other, row-major. */
  readonly values: Float32Array | Uint8Array
  /** The class of each sample; absent for unlabelled data. */
  readonly labels?: Int32Array
  /** What a network is to give instead of a class: as many numbers a sample as it has outputs, row-major. */
  readonly targets?: Float32Array
  /** Where each sample was among those that were read; absent where they are in that order. */
  readonly origin?: Uint32Array
  /** Names of the classes, where folders named them. */
  readonly classNames?: readonly string[]
  /** Absent where values are fed as they are. */
  readonly preprocess?: Preprocess
}

/** Samples `from` to `to` (exclusive), preprocessed, row-major: [to − from, ...dims]. */
export function batchOf(data: Dataset, from: number, to: number): Float32Array {
  const size = sampleSize(data)
  const out = Float32Array.from(data.values.subarray(from * size, to * size))
  if (data.preprocess) applyByChannel(out, data.preprocess, data.dims)
  return out
}

/** Applies `y = (x · scale − mean) / std` in place; the channels are the first dimension of each sample. */
function applyByChannel(
  values: Float32Array,
  { scale, mean, std }: Preprocess,
  dims: readonly number[],
): void {
  const channels = mean.length > 1 || std.length > 1 ? dims[0] : 1
  const plane = dims.reduce((n, d) => n * d, 1) / channels
  for (let start = 0, c = 0; start < values.length; start += plane, c = (c + 1) % channels) {
    const divisor = std[c] ?? std[0]
    const factor = scale / divisor
    const shift = (mean[c] ?? mean[0]) / divisor
    for (let i = start; i < start + plane; i++) values[i] = values[i] * factor - shift
  }
}

/** Elements of one sample. */
export const sampleSize = (data: Pick<Dataset, 'dims'>): number => data.dims.reduce((n, d) => n * d, 1)

/** The samples at `indices`, in that order, as a dataset of their own. */
export function pick(data: Dataset, indices: ArrayLike<number>): Dataset {
  const size = sampleSize(data)
  const make = data.values instanceof Uint8Array ? Uint8Array : Float32Array
  const values = new make(indices.length * size)
  for (let i = 0; i < indices.length; i++)
    values.set(data.values.subarray(indices[i] * size, (indices[i] + 1) * size), i * size)
  const labels = data.labels && Int32Array.from(indices, (i) => data.labels![i])
  const width = data.targets ? data.targets.length / data.count : 0
  const targets = data.targets && new Float32Array(indices.length * width)
  for (let i = 0; targets && data.targets && i < indices.length; i++)
    targets.set(data.targets.subarray(indices[i] * width, (indices[i] + 1) * width), i * width)
  return {
    ...data,
    count: indices.length,
    values,
    labels,
    targets,
    origin: Uint32Array.from(indices, (i) => data.origin?.[i] ?? i),
  }
}
