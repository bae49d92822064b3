import { EspalierError } from '@espalier/shared'
import type { Graph } from '../graph/index.js'
import type { Dataset } from './dataset.js'
import { sampleSize } from './dataset.js'
import { readIdx } from './idx.js'
import { readImages } from './images.js'
import { readNpz } from './npz.js'
import { type Preprocess, preprocessing, preprocessOf } from './preprocess.js'
import { type DataSpec, parseSpec } from './spec.js'
import type { Stored } from './stored.js'
import { imageForm, type Wanted, wantedBy } from './wanted.js'

export interface LoadOptions extends Partial<Preprocess> {
  /** Which axis of the network's input is the channels'; found by itself where it can be. */
  readonly layout?: 'nchw' | 'nhwc'
  readonly shapes?: Readonly<Record<string, readonly number[]>>
  readonly on?: (done: number, total: number) => void
  readonly signal?: AbortSignal
}

/**
 * The data that `spec` names, in the form that the network wants. Preprocessing is what the options say, else what the
 * network's metadata carry, else 8-bit values divided by 255 and others as they are.
 * @throws DATA_SPEC_INVALID, FILE_NOT_FOUND, DATA_INVALID, DATA_TOO_LARGE, DATA_SHAPE_MISMATCH, DATA_LABELS_INVALID,
 *   DIMENSION_UNKNOWN, MODEL_UNSUPPORTED, OPTION_INVALID
 */
export async function loadDataset(graph: Graph, spec: string, options: LoadOptions = {}): Promise<Dataset> {
  const parsed = parseSpec(spec)
  const wanted = wantedBy(graph, options.shapes)
  const stored = await read(parsed, wanted, options)
  if (stored.count === 0)
    throw new EspalierError('DATA_INVALID', `'${spec}' names no samples; lower #skip or look at the files`)
  requireShape(stored, wanted, spec)
  requireLabels(stored, wanted, spec)
  const { scale, mean, std } = options
  const last = options.layout ? options.layout === 'nhwc' : channelsLast(wanted.dims)
  const bytes = stored.values instanceof Uint8Array
  const channels = (last ? wanted.dims.at(-1) : wanted.dims[0]) ?? 1
  const preprocess = preprocessing({ scale, mean, std }, preprocessOf(graph), bytes, channels)
  const data = { ...stored, spec, dims: wanted.dims }
  if (!preprocess) return data
  const perChannel = preprocess.mean.length > 1 || preprocess.std.length > 1
  return last && perChannel ? preprocessed(data, preprocess) : { ...data, preprocess }
}

async function read(spec: DataSpec, wanted: Wanted, options: LoadOptions): Promise<Stored> {
  const { source, skip, first } = spec
  if (source.kind === 'images') {
    const form = imageForm(wanted, options.layout)
    return readImages(source.folder, spec, form, options.on ?? (() => {}), options.signal)
  }
  const all = await (source.kind === 'idx' ? readIdx(source.images, source.labels) : readNpz(source.file))
  const size = sampleSize(all)
  const to = Math.min(all.count, skip + first)
  const count = Math.max(0, to - skip)
  return {
    ...all,
    count,
    values: all.values.slice(skip * size, to * size),
    labels: all.labels?.slice(skip, to),
    targets: all.targets?.slice(skip * widthOf(all), to * widthOf(all)),
  }
}

const widthOf = ({ targets, count }: Stored) => (targets ? targets.length / count : 0)

function requireShape(stored: Stored, wanted: Wanted, spec: string): void {
  const essence = (dims: readonly number[]) => dims.filter((d) => d !== 1).join('×')
  const flat = wanted.dims.length === 1 && wanted.dims[0] === sampleSize(stored)
  if (flat || essence(stored.dims) === essence(wanted.dims)) return
  throw new EspalierError(
    'DATA_SHAPE_MISMATCH',
    `the network's input '${wanted.input}' takes [batch, ${wanted.dims}], but a sample of '${spec}' is [${stored.dims}]`,
  )
}

function requireLabels(stored: Stored, wanted: Wanted, spec: string): void {
  const width = widthOf(stored)
  if (width > 0 && wanted.classes !== null && width !== wanted.classes)
    throw new EspalierError(
      'DATA_SHAPE_MISMATCH',
      `'${spec}' has ${width} targets a sample, but the network gives ${wanted.classes} numbers`,
    )
  const most = stored.labels?.reduce((a, b) => Math.max(a, b), 0) ?? 0
  if (wanted.classes === null || most < wanted.classes) return
  throw new EspalierError(
    'DATA_LABELS_INVALID',
    `'${spec}' has label ${most}, but the network tells only ${wanted.classes} classes apart, 0 to ${wanted.classes - 1}`,
  )
}

const channelsLast = (dims: readonly number[]) => dims.length === 3 && dims[0] > 4 && dims[2] <= 4

/** Channels-last data with a mean or deviation a channel: applied here, since batches know only channels-first. */
function preprocessed(data: Dataset, { scale, mean, std }: Preprocess): Dataset {
  const channels = data.dims.at(-1) ?? 1
  const values = Float32Array.from(data.values, (v, i) => {
    const c = i % channels
    return (v * scale - (mean[c] ?? mean[0])) / (std[c] ?? std[0])
  })
  return { ...data, values }
}
