import { asEspalierError, EspalierError } from '@espalier/shared'
import {
  arrayOf,
  type Dim,
  elementBytes,
  elementCount,
  type Graph,
  node,
  numbersOf,
  type Tensor,
  type Value,
} from '../graph/index.js'
import { most } from '../most.js'
import { openSession, outline, type Session } from '../runtime/index.js'
import { floatingValues } from './floating.js'
import { refuseGiants, tooHeavy } from './giants.js'

/** Concrete sizes given by the user, by input name. */
export type InputShapes = Readonly<Record<string, readonly number[]>>

/** What one run of the network showed. */
export interface Shapes {
  /** Dimensions of every value: inputs, constants and whatever a node computes. */
  readonly dims: ReadonlyMap<string, readonly number[]>
  /** Elements of small integer values (shapes, indices), by name. */
  readonly integers: ReadonlyMap<string, readonly number[]>
  /** The shapes that the inputs had. */
  readonly inputs: InputShapes
  /** How many samples the run held: the first input's first size where that axis is dynamic, else 1. */
  readonly batch: number
}

/** Sizes tried for dynamic axes other than the first, until the network runs. */
const candidates = [64, 32, 96, 128, 224, 16, 8]
const SMALL = 64
/** Weights of more bytes are fed rather than written into the file that the runtime loads: it would hold them thrice. */
const FED = 1 << 16

/**
 * Runs the network once, in onnxruntime, and sees the shape of every intermediate. Dynamic axes get sizes above one:
 * the first axis 2, others the first of a few sizes with which the network runs.
 * @throws DIMENSION_UNKNOWN naming the axis if none does; MODEL_UNSUPPORTED if the runtime cannot load it,
 *   MODEL_UNRUNNABLE if it loads and does not run; MODEL_TOO_HEAVY for values larger than `most` allows; OPTION_INVALID if a given shape does not fit the model.
 */
export async function captureShapes(graph: Graph, given: InputShapes = {}): Promise<Shapes> {
  checkGiven(graph, given)
  refuseGiants(graph)
  const open = openAxes(graph, given)
  const asked = outlined(graph)
  const fed = [...graph.initializers].filter(([, t]) => t.dtype === 'float32' && t.data.byteLength > FED)
  const weights = Object.fromEntries(fed)
  const exposed = graph.with({
    initializers: new Map([...graph.initializers].filter(([name]) => !Object.hasOwn(weights, name))),
    inputs: [...graph.inputs, ...fed.map(([name, { dtype, dims }]): Value => ({ name, dtype, dims }))],
    ...asked.parts,
  })
  const session = await openSession(exposed, { optimize: false })
  try {
    let failure: unknown
    for (const size of open.length > 0 ? candidates : [0]) {
      for (const batch of [2, 1]) {
        const inputs = Object.fromEntries(
          graph.inputs.map((v) => [v.name, sizesOf(given, v.name) ?? concrete(v, batch, size)]),
        )
        try {
          refuseGiantInputs(inputs)
          return await captured(graph, session, inputs, weights, asked.counts)
        } catch (thrown) {
          const { code } = asEspalierError(thrown)
          if (code !== 'MODEL_UNRUNNABLE' && code !== 'MODEL_TOO_HEAVY') throw thrown
          failure = thrown
        }
      }
    }
    throw open.length === 0 ? failure : notRun(graph, open, failure)
  } finally {
    await session.release()
  }
}

/**
 * The graph so that a run tells of every value what shapes are made of. Of computed floating-point values that is a Shape,
 * called by a name in `counts`: as outputs themselves, all would be held at once, twice. The runtime computes first what
 * comes last among nodes that nobody reads, so that backwards each value is let go before the next.
 */
function outlined(graph: Graph) {
  const floats = floatingValues(graph)
  const computed = graph.nodes
    .filter((n) => !graph.constant(n.outputs[0]))
    .flatMap((n) => n.outputs)
    .filter((o) => o !== '')
  const counts = new Map(computed.filter((o) => floats.has(o)).map((o) => [`${o}.shape`, o]))
  const counted = new Set(counts.values())
  const others = [...graph.outputs.map((o) => o.name), ...computed].filter((o) => !counted.has(o))
  const shapes = [...counts].map(([shape, value]) => node('Shape', [value], [shape])).reverse()
  const outputs = [...new Set([...others, ...counts.keys()])]
  return {
    counts,
    parts: {
      nodes: [...graph.nodes, ...shapes],
      outputs: outputs.map((name): Value => ({ name, dtype: 'other', dims: null })),
    },
  }
}

async function captured(
  graph: Graph,
  session: Session,
  inputs: InputShapes,
  weights: Readonly<Record<string, Tensor>>,
  counts: ReadonlyMap<string, string>,
): Promise<Shapes> {
  const samples = Object.fromEntries(graph.inputs.map((v) => [v.name, sampleInput(v, inputs[v.name])]))
  const dims = new Map<string, readonly number[]>(Object.entries(inputs))
  const integers = new Map<string, readonly number[]>()
  for (const [name, seen] of await outline(session, { ...weights, ...samples }, SMALL)) {
    const counted = counts.get(name)
    dims.set(counted ?? name, (counted === undefined ? undefined : seen.integers) ?? seen.dims)
    if (counted === undefined && seen.integers && seen.dims.length <= 1) integers.set(name, seen.integers)
  }
  for (const [name, t] of constants(graph)) {
    dims.set(name, t.dims)
    const whole = t.dtype === 'int64' || t.dtype === 'int32'
    if (whole && t.dims.length <= 1 && t.data.length <= SMALL) integers.set(name, numbersOf(t))
  }
  const first = graph.inputs[0]
  const batch = first?.dims && typeof first.dims[0] !== 'number' ? (inputs[first.name][0] ?? 1) : 1
  return { dims, integers, inputs, batch }
}

/** Every constant of the graph by name: initializers and Constant nodes that hold a tensor. */
export function* constants(graph: Graph): Generator<[string, Tensor]> {
  yield* graph.initializers
  for (const n of graph.nodes) {
    const t = n.op === 'Constant' ? graph.constant(n.outputs[0]) : undefined
    if (t) yield [n.outputs[0], t]
  }
}

/** Reproducible values for an input: uniform in [0, 1) for floats, zeros for everything else. */
export function sampleInput(
  value: Value,
  dims: readonly number[],
  random: () => number = xorshift(1),
): Tensor {
  if (elementBytes(value.dtype) === 0) {
    throw new EspalierError(
      'MODEL_UNSUPPORTED',
      `input '${value.name}' is of type ${value.dtype}; only numbers can be fed`,
    )
  }
  const data = new (arrayOf(value.dtype))(elementCount(dims))
  if (data instanceof Float32Array || data instanceof Float64Array)
    for (let i = 0; i < data.length; i++) data[i] = random()
  return { dtype: value.dtype, dims, data }
}

/** Numbers in [0, 1) from a seed (Marsaglia 2003, xorshift32). */
export function xorshift(seed: number): () => number {
  let state = (seed * 2654435761 + 1) >>> 0 || 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    state >>>= 0
    return state / 2 ** 32
  }
}

/** An input may be called like something that every object has. */
const sizesOf = (given: InputShapes, name: string) => (Object.hasOwn(given, name) ? given[name] : undefined)

function refuseGiantInputs(inputs: InputShapes): void {
  for (const [name, dims] of Object.entries(inputs))
    if (elementCount(dims) > most.elements) throw tooHeavy(`input '${name}' is`, elementCount(dims))
}

const describe = (d: Dim, i: number) => (typeof d === 'string' ? `'${d}' (axis ${i})` : `axis ${i}`)

function openAxes(graph: Graph, given: InputShapes): string[] {
  return graph.inputs.flatMap((v) => {
    if (sizesOf(given, v.name)) return []
    if (!v.dims) {
      throw new EspalierError(
        'DIMENSION_UNKNOWN',
        `input '${v.name}' does not say how many dimensions it has; give them: --shape ${v.name}=1,3,224,224`,
      )
    }
    return v.dims.flatMap((d, i) =>
      i > 0 && typeof d !== 'number' ? [`${describe(d, i)} of input '${v.name}'`] : [],
    )
  })
}

const concrete = (v: Value, batch: number, size: number): number[] =>
  (v.dims ?? []).map((d, i) => (typeof d === 'number' ? d : i === 0 ? batch : size))

function checkGiven(graph: Graph, given: InputShapes): void {
  for (const [name, dims] of Object.entries(given)) {
    const input = graph.inputs.find((v) => v.name === name)
    const fits =
      input &&
      (!input.dims ||
        (input.dims.length === dims.length &&
          input.dims.every((d, i) => typeof d !== 'number' || d === dims[i])))
    if (fits) continue
    const wanted = graph.inputs
      .map((v) => `${v.name}=${v.dims?.map((d) => d ?? '?').join(',') ?? '?'}`)
      .join(' ')
    throw new EspalierError(
      'OPTION_INVALID',
      `--shape ${name}=${dims.join(',')} does not fit the model, whose inputs are ${wanted}`,
    )
  }
}

function notRun(graph: Graph, open: readonly string[], cause: unknown): EspalierError {
  const why = (cause instanceof Error ? cause.message : String(cause)).replace(/\s+/g, ' ').slice(0, 300)
  if (open.length === 0)
    return new EspalierError('MODEL_UNSUPPORTED', `the model does not run: ${why}`, { cause })
  const input = graph.inputs.find((v) => v.dims?.some((d, i) => i > 0 && typeof d !== 'number'))
  const example = input?.dims
    ?.map((d, i) => (typeof d === 'number' ? d : i === 0 ? 1 : String(d ?? 'N')))
    .join(',')
  return new EspalierError(
    'DIMENSION_UNKNOWN',
    `no size was given for ${open.join(' and ')}, and the network runs with none of ${candidates.join(', ')}; ` +
      `say which, for example --shape ${input?.name}=${example} (${why})`,
    { cause },
  )
}
