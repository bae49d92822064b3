import { type Dataset, pick } from '../data/index.js'
import { elementCount, floats, type Graph, type Node, node, type Tensor } from '../graph/index.js'
import { foldBatchNorm } from '../surgery/index.js'
import { frozenWeights } from './frozen.js'
import type { Samples, TrainOptions } from './options.js'
import { withConstants } from './parameters.js'
import { batchOf, prepare } from './prepare.js'
import { sizesOf } from './shapes.js'
import { refreshStatistics } from './statistics.js'

const EPSILON = 1e-5
/** Fewer values of a channel in a batch say too little of its mean and variance. */
const LEAST = 128
/** Samples that the first statistics are taken from. */
const SAMPLES = 2048
const layers = new Set(['Conv', 'ConvTranspose', 'Gemm', 'MatMul'])

export interface Unfolded {
  readonly graph: Graph
  /** Its constants as those of the network without the normalisations. */
  folded(constants: ReadonlyMap<string, Tensor>): Map<string, Tensor>
}

/**
 * Gives convolutions the batch normalisation back (Ioffe and Szegedy 2015) that exporters fold into them: behind each comes
 * one whose scale and shift are the deviation and mean of what the data bring there, so that nothing changes before
 * training does. Convolutions with a bias that others follow, in networks without any normalisation; undefined where
 * there are none. What was folded trains slowly, at rates that must be small: every layer waits for those before it.
 */
export async function unfold(
  graph: Graph,
  data: Samples,
  options: TrainOptions,
): Promise<Unfolded | undefined> {
  const batch = Math.min(options.batch ?? 64, data.count)
  const frozen = frozenWeights(graph, options.freeze ?? [])
  if (graph.nodes.some((n) => n.op.endsWith('Normalization'))) return undefined
  const { dims } = await sizesOf(prepare(graph, batchOf(graph, batch, data)))
  const leading = leadingToLayers(graph)
  const found = graph.nodes.filter((n) => {
    const [w, b] = n.inputs.slice(1)
    const owned = [w, b].every(
      (name) => graph.constant(name ?? '')?.dtype === 'float32' && graph.uses(name) === 1,
    )
    const [samples, , ...places] = dims.get(n.outputs[0]) ?? []
    const enough = samples * elementCount(places) >= LEAST
    return (
      n.op === 'Conv' && n.domain === '' && owned && enough && leading.has(n.outputs[0]) && !frozen.has(w)
    )
  })
  if (found.length === 0) return undefined
  const measured = await refreshStatistics(beside(graph, found), some(data), { samples: SAMPLES, batch })
  const unfolded = behind(graph, found, measured)
  return { graph: unfolded, folded: (constants) => folded(unfolded, found, constants) }
}

/** Values that a layer with weights comes after. */
function leadingToLayers(graph: Graph): ReadonlySet<string> {
  const leading = new Set<string>()
  for (const n of [...graph.nodes].reverse())
    if (layers.has(n.op) || n.outputs.some((o) => leading.has(o))) for (const i of n.inputs) leading.add(i)
  return leading
}

const some = (data: Samples): Dataset => {
  const count = Math.min(data.count, SAMPLES)
  const spread = Uint32Array.from({ length: count }, (_, i) => Math.floor((i * data.count) / count))
  return pick({ ...data, spec: '' }, spread)
}

/** The constants of the normalisation of a value: scale, shift, mean, variance. */
const namesOf = (value: string) =>
  ['scale', 'shift', 'mean', 'variance'].map((s) => `espalier.unfolded.${s}/${value}`)
const raw = (value: string) => `espalier.unfolded/${value}`

const normalisation = (from: string, to: string, constants: readonly string[]): Node =>
  node('BatchNormalization', [from, ...constants], [to], { epsilon: EPSILON }, { name: `${to}/unfolded` })

/** A normalisation next to each convolution, which nothing reads: what is measured there is what the network has. */
function beside(graph: Graph, found: readonly Node[]): Graph {
  const initializers = new Map(graph.initializers)
  const added = found.map((n) => {
    const names = namesOf(n.outputs[0])
    const channels = graph.constant(n.inputs[1])!.dims[0]
    for (const [i, name] of names.entries())
      initializers.set(name, floats([channels], new Float32Array(channels).fill(i === 0 || i === 3 ? 1 : 0)))
    return normalisation(n.outputs[0], raw(n.outputs[0]), names)
  })
  return graph.with({ nodes: [...graph.nodes, ...added], initializers })
}

/** A normalisation behind each convolution that undoes itself: its scale is the deviation and its shift the mean. */
function behind(graph: Graph, found: readonly Node[], measured: Graph): Graph {
  const initializers = new Map(graph.initializers)
  const nodes = graph.nodes.flatMap((n): Node[] => {
    const [output] = n.outputs
    if (!found.includes(n)) return [n]
    const [scale, shift, mean, variance] = namesOf(output)
    const [means, variances] = [mean, variance].map((name) => measured.constant(name)!)
    const deviations = Float32Array.from(variances.data as Float32Array, (v) => Math.sqrt(v + EPSILON))
    initializers.set(scale, floats(variances.dims, deviations))
    for (const [name, value] of [
      [shift, means],
      [mean, means],
      [variance, variances],
    ] as const)
      initializers.set(name, value)
    return [{ ...n, outputs: [raw(output)] }, normalisation(raw(output), output, namesOf(output))]
  })
  return graph.with({ nodes, initializers })
}

function folded(
  unfolded: Graph,
  found: readonly Node[],
  constants: ReadonlyMap<string, Tensor>,
): Map<string, Tensor> {
  const merged = foldBatchNorm(withConstants(unfolded, constants))
  const own = new Set(found.flatMap((n) => namesOf(n.outputs[0])))
  const plain = new Map([...constants].filter(([name]) => !own.has(name)))
  for (const { inputs } of found) for (const name of inputs.slice(1)) plain.set(name, merged.constant(name)!)
  return plain
}
