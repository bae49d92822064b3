import { EspalierError } from '@espalier/shared'
import type { Graph } from '../graph/index.js'
import type { ImageForm } from './images.js'

/** What a network asks of its data. */
export interface Wanted {
  /** Name of its input. */
  readonly input: string
  /** Dimensions of one sample, without the batch axis. */
  readonly dims: readonly number[]
  /** How many classes it tells apart; null where its output does not say. */
  readonly classes: number | null
}

/**
 * @param shapes sizes of inputs with dynamic dimensions, batch included
 * @throws MODEL_UNSUPPORTED for a network without exactly one float32 input; DIMENSION_UNKNOWN for dynamic dimensions.
 */
export function wantedBy(graph: Graph, shapes: Readonly<Record<string, readonly number[]>> = {}): Wanted {
  const [input, ...more] = graph.inputs
  if (!input || more.length > 0 || input.dtype !== 'float32' || !input.dims || input.dims.length < 2)
    throw new EspalierError(
      'MODEL_UNSUPPORTED',
      `data can be fed to networks with one float32 input [batch, …]; this one has ${graph.inputs.map((i) => `'${i.name}' ${i.dtype} [${i.dims}]`).join(', ') || 'none'}`,
    )
  const given = shapes[input.name]
  const dims = input.dims.slice(1).map((d, i) => {
    const size = typeof d === 'number' ? d : given?.[i + 1]
    if (size === undefined || !(size > 0))
      throw new EspalierError(
        'DIMENSION_UNKNOWN',
        `input '${input.name}' has the dynamic shape [${input.dims}]; say its size with --shape ${input.name}=1,…`,
      )
    return size
  })
  const last = graph.outputs[0].dims?.at(-1)
  return { input: input.name, dims, classes: typeof last === 'number' ? last : null }
}

/**
 * How images are to be laid out: by `layout`, or where it is not given by which end of the input has 1 or 3 channels.
 * @throws DATA_SHAPE_MISMATCH for an input that takes no images.
 */
export function imageForm({ input, dims }: Wanted, layout?: 'nchw' | 'nhwc'): ImageForm {
  const isColour = (d: number) => d === 1 || d === 3
  const found = layout ?? (isColour(dims[0]) || !isColour(dims[2]) ? 'nchw' : 'nhwc')
  const [channels, height, width] = found === 'nchw' ? dims : [dims[2], dims[0], dims[1]]
  if (dims.length === 3 && isColour(channels))
    return { channels: channels as 1 | 3, height, width, layout: found }
  throw new EspalierError(
    'DATA_SHAPE_MISMATCH',
    `input '${input}' [batch, ${dims}] takes no images of 1 or 3 channels in layout ${found}; give arrays by npz: or another --layout`,
  )
}
