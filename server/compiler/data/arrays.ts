import { EspalierError } from '@espalier/shared'
import { formatBytes } from '@espalier/shared/bytes.js'
import type { FieldType } from './dataset.js'
import { labelsFrom } from './elements.js'
import { openIdx } from './idx.js'
import { openNpz } from './npz.js'
import type { Source } from './spec.js'
import { bytesOf, held, type Range, type StoredArray } from './stored.js'
import type { Wanted, WantedInput } from './wanted.js'

/** Arrays as files hold them, by name, and what is to be answered. */
export interface Arrays {
  readonly inputs: ReadonlyMap<string, StoredArray>
  readonly y?: StoredArray
}

/** @throws FILE_NOT_FOUND, DATA_INVALID */
export async function openArrays(source: Exclude<Source, { kind: 'images' }>): Promise<Arrays> {
  if (source.kind === 'idx')
    return { inputs: new Map([['x', await openIdx(source.images)]]), y: await openIdx(source.labels) }
  const inputs = new Map(await openNpz(source.file))
  const y = inputs.get('y')
  inputs.delete('y')
  if (inputs.size > 0) return { inputs, y }
  throw new EspalierError(
    'DATA_INVALID',
    `'${source.file}' has no array of inputs; save it with numpy.savez(file, x=…, y=…)`,
  )
}

/** Samples in all of the arrays. @throws DATA_INVALID where they are not as many in each */
export function countOf(arrays: readonly StoredArray[]): number {
  const [first, ...more] = arrays
  const count = first.dims[0]
  if (count === undefined)
    throw new EspalierError(
      'DATA_INVALID',
      `${first.name} is one number; samples were expected along its first dimension`,
    )
  const odd = more.find(({ dims }) => dims[0] !== count)
  if (!odd) return count
  throw new EspalierError(
    'DATA_INVALID',
    `${odd.name} is [${odd.dims}], but ${first.name} has ${count} samples; as many were expected`,
  )
}

/**
 * The array for each input: of its name, or for a network's only one `x`.
 * @throws DATA_INVALID where one is missing or holds what the input cannot take
 */
export function arraysFor({ inputs }: Wanted, { inputs: arrays }: Arrays, spec: string): StoredArray[] {
  return inputs.map((input) => {
    const array = arrays.get(input.name) ?? (inputs.length === 1 ? arrays.get('x') : undefined)
    if (array) return suited(array, input)
    const there = [...arrays.keys()].map((name) => `'${name}'`).join(', ')
    throw new EspalierError(
      'DATA_INVALID',
      `'${spec}' has no array '${inputs.length === 1 ? 'x' : input.name}', which the network takes as ${input.dtype}; it holds ${there}`,
    )
  })
}

const isWhole = (dtype: FieldType) => dtype !== 'float32'

function suited(array: StoredArray, { name, dtype, below }: WantedInput): StoredArray {
  if (isWhole(dtype) && array.type.startsWith('f'))
    throw new EspalierError(
      'DATA_INVALID',
      `${array.name} holds floats (${array.type}), but the network's input '${name}' takes ${dtype}; save it as whole numbers`,
    )
  return { ...array, whole: isWhole(dtype), below }
}

/** What samples are to be answered with. */
export interface Answers {
  readonly labels?: Int32Array
  readonly targets?: Float32Array
}

const MOST_BYTES = 2 ** 30

/**
 * Classes, or targets: several numbers a sample, numbers that are not whole, or any for an output that is a single number.
 * They are held in memory, whatever the samples are.
 * @param outputs numbers that the network gives a sample, if that is known
 * @throws DATA_INVALID, DATA_LABELS_INVALID, DATA_TOO_LARGE
 */
export async function answersOf(
  y: StoredArray | undefined,
  { skip, to }: Range,
  outputs: number | null,
): Promise<Answers> {
  if (!y) return {}
  const all = { skip: 0, to: y.dims[0] }
  if (bytesOf(y, all) > MOST_BYTES)
    throw new EspalierError(
      'DATA_TOO_LARGE',
      `${y.name} takes ${formatBytes(bytesOf(y, all))}; labels and targets are held in memory, ${formatBytes(MOST_BYTES)} at most`,
    )
  const values = await held(y, all, MOST_BYTES)
  const width = values.length / Math.max(1, y.dims[0])
  const mine = values.subarray(skip * width, to * width)
  const areTargets =
    width !== 1 || outputs === 1 || (y.type.startsWith('f') && !values.every(Number.isInteger))
  return areTargets ? { targets: Float32Array.from(mine) } : { labels: labelsFrom(mine, y.name, skip) }
}
