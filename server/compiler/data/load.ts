import { EspalierError } from '@espalier/shared'
import type { Graph } from '../graph/index.js'
import { type Answers, answersOf, arraysFor, countOf, openArrays } from './arrays.js'
import type { Dataset, Field } from './dataset.js'
import { decodeImages, imageDims, listImages } from './images.js'
import { type Preprocess, preprocessing, preprocessOf } from './preprocess.js'
import { type DataSpec, parseSpec } from './spec.js'
import { bytesOf, held, onDisk } from './stored.js'
import { dimsFor, imageForm, requireAlike, type Wanted, wantedBy } from './wanted.js'

export interface LoadOptions extends Partial<Preprocess> {
  /** Which axis of the network's input is the channels'; found by itself where it can be. */
  readonly layout?: 'nchw' | 'nhwc'
  readonly shapes?: Readonly<Record<string, readonly number[]>>
  /** The output that labels or targets are for; the network's first if not given. */
  readonly answer?: string
  /** Samples that take more bytes than this stay on disk; `HELD_BYTES` if not given. */
  readonly memory?: number
  readonly on?: (done: number, total: number) => void
  readonly signal?: AbortSignal
}

/** Samples up to so many bytes are held in memory. */
export const HELD_BYTES = 2 ** 28

/**
 * The data that `spec` names, in the form that the network wants: held in memory, or where they take more than that,
 * read from disk a batch at a time. Labels and targets are held, and four bytes a sample besides; of images their paths.
 * Preprocessing is what the options say, else what the network's metadata carry, else 8-bit values divided by 255 and others
 * as they are; whole numbers (tokens) and all inputs but the first are fed as they are.
 * @throws DATA_SPEC_INVALID, FILE_NOT_FOUND, DATA_INVALID, DATA_TOO_LARGE, DATA_SHAPE_MISMATCH, DATA_LABELS_INVALID,
 *   DIMENSION_UNKNOWN, MODEL_UNSUPPORTED, OPTION_INVALID
 */
export async function loadDataset(graph: Graph, spec: string, options: LoadOptions = {}): Promise<Dataset> {
  const parsed = parseSpec(spec)
  const wanted = wantedBy(graph, options.shapes, options.answer)
  const { fields, ...stored } = await read(parsed, wanted, options)
  const [first, ...others] = fields
  requireAnswers(stored, wanted, spec)
  const names = wanted.inputs.slice(1).map(({ name }) => name)
  return {
    ...{ spec, ...stored, ...preprocessed(graph, first, options) },
    ...(names.length > 0 && { others: Object.fromEntries(names.map((name, i) => [name, others[i]])) }),
    ...(options.answer !== undefined && { answer: options.answer }),
  }
}

type Read = Answers & Pick<Dataset, 'count' | 'classNames' | 'files'> & { readonly fields: readonly Field[] }

async function read(spec: DataSpec, wanted: Wanted, options: LoadOptions): Promise<Read> {
  const { source, text } = spec
  const { memory = HELD_BYTES } = options
  if (source.kind === 'images') return readImages(source.folder, spec, wanted, options)
  const arrays = await openArrays(source)
  const inputs = arraysFor(wanted, arrays, text)
  const range = rangeOf(spec, countOf([...inputs, ...(arrays.y ? [arrays.y] : [])]))
  const dims = inputs.map((a, i) => dimsFor(wanted.inputs[i], a.dims.slice(1), a.name))
  requireAlike(wanted, dims)
  const hold = inputs.reduce((n, a) => n + bytesOf(a, range), 0) <= memory
  const fields: Field[] = []
  for (const [i, a] of inputs.entries())
    fields.push({
      dims: dims[i],
      values: await (hold ? held(a, range, memory) : onDisk(a, range)),
      dtype: wanted.inputs[i].dtype,
    })
  return { count: range.to - range.skip, fields, ...(await answersOf(arrays.y, range, wanted.outputs)) }
}

async function readImages(
  folder: string,
  spec: DataSpec,
  wanted: Wanted,
  options: LoadOptions,
): Promise<Read> {
  const [input, ...more] = wanted.inputs
  if (more.length > 0)
    throw new EspalierError(
      'MODEL_UNSUPPORTED',
      `the network takes ${wanted.inputs.map(({ name }) => `'${name}'`).join(', ')}; give an array for each by npz:`,
    )
  const form = imageForm(input, options.layout)
  const { files: all, classNames } = await listImages(folder)
  const { skip, to } = rangeOf(spec, all.length)
  const chosen = all.slice(skip, to)
  const files = chosen.map((f) => f.path)
  const dims = imageDims(form)
  const hold = files.length * dims.reduce((n, d) => n * d, 1) <= (options.memory ?? HELD_BYTES)
  const values = hold
    ? await decodeImages(files, form, options.on, options.signal)
    : ({ kind: 'images', files, form } as const)
  const labels = classNames && Int32Array.from(chosen, (f) => f.label)
  return { count: files.length, fields: [{ dims, values }], labels, classNames, files }
}

function rangeOf({ text, skip, first }: DataSpec, count: number) {
  if (skip >= count)
    throw new EspalierError('DATA_INVALID', `'${text}' names no samples; lower #skip or look at the files`)
  return { skip, to: Math.min(count, skip + first) }
}

function requireAnswers(
  { labels, targets, count }: Omit<Read, 'fields'>,
  wanted: Wanted,
  spec: string,
): void {
  const { answer, outputs, classes } = wanted
  const width = targets ? targets.length / count : 0
  if (width > 0 && outputs !== null && width !== outputs)
    throw new EspalierError(
      'DATA_SHAPE_MISMATCH',
      `'${spec}' has ${width} targets a sample, but the network gives ${outputs} numbers in '${answer}'`,
    )
  const most = labels?.reduce((a, b) => Math.max(a, b), 0) ?? 0
  if (classes === null || most < classes) return
  throw new EspalierError(
    'DATA_LABELS_INVALID',
    `'${spec}' has label ${most}, but the network tells only ${classes} classes apart, 0 to ${classes - 1}`,
  )
}

/** The first input's field with what is done to its values before they are fed. */
function preprocessed(graph: Graph, field: Field, { scale, mean, std, layout }: LoadOptions): Field {
  const { dims, values, dtype = 'float32' } = field
  if (dtype !== 'float32') {
    if (scale === undefined && !mean && !std) return field
    throw new EspalierError(
      'OPTION_INVALID',
      `--scale, --mean and --std change floats; the network takes ${dtype}`,
    )
  }
  const last = layout ? layout === 'nhwc' : channelsLast(dims)
  const bytes =
    values instanceof Uint8Array || ('kind' in values && (values.kind === 'images' || values.type === 'u1'))
  const channels = (last ? dims.at(-1) : dims[0]) ?? 1
  const preprocess = preprocessing({ scale, mean, std }, preprocessOf(graph), bytes, channels)
  return { ...field, ...(last && { channels: 'last' }), ...(preprocess && { preprocess }) }
}

const channelsLast = (dims: readonly number[]) => dims.length === 3 && dims[0] > 4 && dims[2] <= 4
