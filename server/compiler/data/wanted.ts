import { EspalierError } from '@espalier/shared'
import { type Dim, type Graph, intAttribute } from '../graph/index.js'
import { type FieldType, fieldTypes } from './dataset.js'
import type { ImageForm } from './images.js'

/** One input of a network. */
export interface WantedInput {
  readonly name: string
  readonly dtype: FieldType
  /** Dimensions of one sample, without the batch axis; null where data may say the size. */
  readonly dims: readonly (number | null)[]
  /** As the file has them: dynamic dimensions of one name are of one size. */
  readonly spelled: readonly Dim[]
  /** Rows of the smallest embedding that the input picks from: its numbers lie from 0 to below this. */
  readonly below?: number
}

/** What a network asks of its data. */
export interface Wanted {
  readonly inputs: readonly [WantedInput, ...WantedInput[]]
  /** The output that labels or targets are for. */
  readonly answer: string
  /** How many numbers that gives a sample, and along its last dimension; null where it does not say. */
  readonly outputs: number | null
  readonly classes: number | null
}

/**
 * @param shapes sizes of inputs with dynamic dimensions, batch included
 * @param answer the output that labels or targets are for; the first if not given
 * @throws MODEL_UNSUPPORTED for inputs that data cannot be fed to, OPTION_INVALID for an output that there is not
 */
export function wantedBy(
  graph: Graph,
  shapes: Readonly<Record<string, readonly number[]>> = {},
  answer = graph.outputs[0].name,
): Wanted {
  const [first, ...others] = graph.inputs.map(({ name, dtype: is, dims: all }): WantedInput => {
    const dtype = fieldTypes.find((d) => d === is)
    if (!dtype || !all || all.length === 0)
      throw new EspalierError(
        'MODEL_UNSUPPORTED',
        `data can be fed to inputs [batch, …] of ${fieldTypes.join(', ')}; this network has '${name}' ${is} [${all ?? '?'}]`,
      )
    const given = shapes[name]
    const dims = all.slice(1).map((d, i) => (typeof d === 'number' ? d : (given?.[i + 1] ?? null)))
    return {
      name,
      dtype,
      dims,
      spelled: all.slice(1),
      below: dtype === 'float32' ? undefined : rowsBehind(graph, name),
    }
  })
  if (!first) throw new EspalierError('MODEL_UNSUPPORTED', 'the network has no input that data can be fed to')
  const output = graph.outputs.find((o) => o.name === answer)
  if (!output)
    throw new EspalierError(
      'OPTION_INVALID',
      `the network has no output '${answer}'; it gives ${graph.outputs.map((o) => `'${o.name}'`).join(', ')}`,
    )
  const sizes = output.dims?.slice(1)
  const last = output.dims?.at(-1)
  const known = sizes?.every((d) => typeof d === 'number')
  return {
    inputs: [first, ...others],
    answer,
    outputs: known ? sizes!.reduce((n, d) => n * (d as number), 1) : null,
    classes: typeof last === 'number' ? last : null,
  }
}

/** Rows of the smallest constant that an input picks from by number. */
function rowsBehind(graph: Graph, input: string): number | undefined {
  const same = new Set([input])
  for (const n of graph.nodes)
    if ((n.op === 'Cast' || n.op === 'Identity') && same.has(n.inputs[0])) same.add(n.outputs[0])
  const rows = graph.nodes.flatMap((n) => {
    if (n.op !== 'Gather' || !same.has(n.inputs[1])) return []
    const dims = graph.constant(n.inputs[0])?.dims
    return dims && intAttribute(n, 'axis', 0) === 0 ? [dims[0]] : []
  })
  return rows.length > 0 ? Math.min(...rows) : undefined
}

/**
 * Dimensions of one sample of an input, dynamic ones as the data have them.
 * @throws DATA_SHAPE_MISMATCH where they do not fit, DIMENSION_UNKNOWN where neither says
 */
export function dimsFor(input: WantedInput, given: readonly number[], source: string): number[] {
  const { name, dims } = input
  const mismatch = () =>
    new EspalierError(
      'DATA_SHAPE_MISMATCH',
      `the network's input '${name}' takes ${written(input)}, but a sample of ${source} is [${given.join(', ')}]`,
    )
  const fixed = dims.flatMap((d) => d ?? [])
  if (fixed.length === dims.length) {
    const essence = (list: readonly number[]) => list.filter((d) => d !== 1).join('×')
    const flat = fixed.length === 1 && fixed[0] === given.reduce((n, d) => n * d, 1)
    if (flat || essence(given) === essence(fixed)) return fixed
    throw mismatch()
  }
  if (dims.length !== given.length) throw dynamic(input)
  if (dims.some((d, i) => d !== null && d !== given[i])) throw mismatch()
  return [...given]
}

/** @throws DATA_SHAPE_MISMATCH where a dynamic dimension has another size in one input than in another */
export function requireAlike({ inputs }: Wanted, dims: readonly (readonly number[])[]): void {
  const known = new Map<string, { size: number; input: string }>()
  for (const [i, { name, spelled }] of inputs.entries())
    for (const [axis, called] of spelled.entries()) {
      if (typeof called !== 'string' || called === '') continue
      const before = known.get(called) ?? { size: dims[i][axis], input: name }
      known.set(called, before)
      if (before.size !== dims[i][axis])
        throw new EspalierError(
          'DATA_SHAPE_MISMATCH',
          `the network's dimension '${called}' is ${before.size} in '${before.input}' and ${dims[i][axis]} in '${name}'; they must agree`,
        )
    }
}

/** Its shape with dynamic dimensions by the names that the network gives them. */
const written = ({ dims, spelled }: WantedInput) =>
  `[batch, ${dims.map((d, i) => d ?? (spelled[i] || '?')).join(', ')}]`

const dynamic = (input: WantedInput) =>
  new EspalierError(
    'DIMENSION_UNKNOWN',
    `input '${input.name}' has the dynamic shape ${written(input)}; say its size with --shape ${input.name}=1,…`,
  )

/**
 * How images are to be laid out: by `layout`, or where it is not given by which end of the input has 1 or 3 channels.
 * @throws DATA_SHAPE_MISMATCH for an input that takes no images, DIMENSION_UNKNOWN for dynamic dimensions
 */
export function imageForm(input: WantedInput, layout?: 'nchw' | 'nhwc'): ImageForm {
  const { name, dtype } = input
  const dims = input.dims.flatMap((d) => d ?? [])
  if (dims.length < input.dims.length) throw dynamic(input)
  const isColour = (d: number) => d === 1 || d === 3
  const found = layout ?? (isColour(dims[0]) || !isColour(dims[2]) ? 'nchw' : 'nhwc')
  const [channels, height, width] = found === 'nchw' ? dims : [dims[2], dims[0], dims[1]]
  if (dtype === 'float32' && dims.length === 3 && isColour(channels))
    return { channels: channels as 1 | 3, height, width, layout: found }
  throw new EspalierError(
    'DATA_SHAPE_MISMATCH',
    `input '${name}' ${dtype} ${written(input)} takes no images of 1 or 3 channels in layout ${found}; give arrays by npz: or another --layout`,
  )
}
