import type { Held } from './elements.js'
import { among, isOnDisk, type OnDisk } from './on-disk.js'
import type { Preprocess } from './preprocess.js'

/** What one input of a network is fed. */
export interface Field {
  /** Dimensions of one sample, without the batch axis. */
  readonly dims: readonly number[]
  /**
   * `count` samples after each other, row-major, as they were stored (8-bit pixels stay bytes), made into what the input
   * takes a batch at a time; or where they are on disk.
   */
  readonly values: Held | OnDisk
  /** What the input takes; float32 if not given. */
  readonly dtype?: FieldType
  /** Where images have their channels; in the first dimension if not given. */
  readonly channels?: 'first' | 'last'
  /** Absent where values are fed as they are. */
  readonly preprocess?: Preprocess
}

export type FieldType = (typeof fieldTypes)[number]
export const fieldTypes = ['float32', 'int32', 'int64'] as const

/** Samples for a network: what its first input is fed, and beside that the rest. It is what `train` takes. */
export interface Dataset extends Field {
  /** Where it came from, as the user wrote it. */
  readonly spec: string
  readonly count: number
  /** What further inputs of the network are fed, by name. */
  readonly others?: Readonly<Record<string, Field>>
  /** The output that labels or targets are for; the network's first if not given. */
  readonly answer?: string
  /** The class of each sample; absent for unlabelled data. */
  readonly labels?: Int32Array
  /** What a network is to give instead of a class: as many numbers a sample as it has outputs, row-major. */
  readonly targets?: Float32Array
  /** Where each sample was among those that were read; absent where they are in that order. */
  readonly origin?: Uint32Array
  /** Names of the classes, where folders named them. */
  readonly classNames?: readonly string[]
  /** The file of each sample, where each has one. */
  readonly files?: readonly string[]
}

/** Whether data say what a network is to answer. */
export const isLabelled = ({ labels, targets }: Pick<Dataset, 'labels' | 'targets'>): boolean =>
  labels !== undefined || targets !== undefined

/** Elements of one sample. */
export const sampleSize = (data: Pick<Field, 'dims'>): number => data.dims.reduce((n, d) => n * d, 1)

/** Whether any of the samples' values are read when they are asked for. */
export const staysOnDisk = (data: Field & Pick<Dataset, 'others'>): boolean =>
  fieldsOf(data, '').some(([, { values }]) => isOnDisk(values))

/** All fields by the inputs that they are for; the first input is called `input`. */
export const fieldsOf = (data: Field & Pick<Dataset, 'others'>, input: string): [string, Field][] => [
  [input, data],
  ...Object.entries(data.others ?? {}),
]

/** The samples at `indices`, in that order, as a dataset of their own; what is on disk stays there. */
export function pick(data: Dataset, indices: ArrayLike<number>): Dataset {
  const others = Object.entries(data.others ?? {}).map(([name, f]) => [
    name,
    { ...f, values: chosen(f, indices) },
  ])
  const width = data.targets ? data.targets.length / data.count : 0
  return {
    ...data,
    count: indices.length,
    values: chosen(data, indices),
    ...(data.others && { others: Object.fromEntries(others) }),
    labels: data.labels && Int32Array.from(indices, (i) => data.labels![i]),
    targets: data.targets && rows(data.targets, width, indices),
    ...(data.files && { files: Array.from(indices, (i) => data.files![i]) }),
    origin: Uint32Array.from(indices, (i) => data.origin?.[i] ?? i),
  }
}

const chosen = (field: Field, indices: ArrayLike<number>): Held | OnDisk =>
  isOnDisk(field.values) ? among(field.values, indices) : rows(field.values, sampleSize(field), indices)

function rows<T extends Held>(values: T, size: number, indices: ArrayLike<number>): T {
  const out = new (values.constructor as new (length: number) => T)(indices.length * size)
  for (let i = 0; i < indices.length; i++)
    out.set(values.subarray(indices[i] * size, (indices[i] + 1) * size), i * size)
  return out
}

/** What two datasets of the same samples have alike; of those on disk by the state of their files. */
export function* identityOf(data: Field & Pick<Dataset, 'others' | 'labels' | 'targets'>) {
  for (const [name, { values, dims, preprocess }] of fieldsOf(data, '')) {
    yield JSON.stringify({ name, dims, preprocess })
    if (!isOnDisk(values)) yield bytesIn(values)
    else if (values.kind === 'images') yield JSON.stringify(values)
    else {
      yield JSON.stringify([values.stamp, values.name])
      yield bytesIn(values.rows)
    }
  }
  for (const array of [data.labels, data.targets]) yield array ? bytesIn(array) : ''
}

const bytesIn = ({ buffer, byteOffset, byteLength }: Held | Uint32Array) =>
  new Uint8Array(buffer, byteOffset, byteLength)
