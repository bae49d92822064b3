import { type Graph, type Node, nodesNeeded, reads, type Tensor, type Value } from '../graph/index.js'
import { Builder } from '../ops/index.js'
import { type NormLayer, withBatchStatistics } from './batch-norm.js'
import { blockSize } from './blocks.js'
import { differentiate } from './differentiate.js'
import { type Noise, withDropout } from './dropout.js'
import type { LossOf, Output } from './loss.js'
import { lowered as loweredOf } from './lower.js'
import { eagerly } from './order.js'
import { outputsOf } from './outputs.js'
import { trainableWeights } from './parameters.js'
import { type InputShapes, prepare } from './prepare.js'
import { recomputed } from './recompute.js'
import { sizesOf } from './shapes.js'
import { type MemoryOptions, type StepMemory, withinMemory } from './step-memory.js'

/** Forward pass, loss and backward pass as one graph, with the weights among its inputs. */
export interface TrainingGraph {
  readonly graph: Graph
  /** Where it was asked for, or seemed necessary: what a step takes. */
  readonly memory?: StepMemory
  /** The network's own inputs, their dimensions fixed. */
  readonly inputs: readonly Value[]
  /** What the loss asked for besides: targets, a teacher's answers. */
  readonly lossInputs: readonly Value[]
  /** Inputs that say what Dropout lets through; to be drawn anew for each step. */
  readonly noise: readonly Noise[]
  /** By the network's output names; their `logits` are outputs of the graph. */
  readonly outputs: ReadonlyMap<string, Output>
  /** Output: the scalar. */
  readonly loss: string
  /** Output that holds the gradient, by weight (or watched value). */
  readonly gradients: ReadonlyMap<string, string>
  readonly norms: readonly NormLayer[]
}

export interface TrainingGraphOptions extends MemoryOptions {
  readonly shapes: InputShapes
  readonly loss: LossOf
  readonly batchNorm: 'batch' | 'frozen'
  /** Whether Dropout drops; false by default. */
  readonly dropout?: boolean
  /** Weights that training leaves as they are: they stay constants of the graph. None by default. */
  readonly frozen?: (weight: string) => boolean
  /** Values besides the weights whose gradients (and themselves) become outputs. */
  readonly watch?: readonly string[]
}

/** @throws GRADIENT_UNKNOWN, MODEL_UNSUPPORTED, DATA_SHAPE_MISMATCH, BUDGET_UNREACHABLE, and what the loss throws */
export async function trainingGraph(graph: Graph, options: TrainingGraphOptions): Promise<TrainingGraph> {
  const { watch = [], frozen = () => false } = options
  const prepared = prepare(graph, options.shapes)
  const plain = await sizesOf(prepared)
  const outputs = outputsOf(graph, plain)
  const { graph: noisy, noise } = options.dropout
    ? withDropout(prepared, plain)
    : { graph: prepared, noise: [] }
  const lossGraph = new Builder('loss/')
  const lossInputs: Value[] = []
  const loss = options.loss({
    g: lossGraph,
    outputs,
    input(name, dtype, dims) {
      if (!lossInputs.some((i) => i.name === name)) lossInputs.push({ name, dtype, dims })
      return name
    },
  })
  const logits = [...outputs.values()].map((o) => o.logits)
  const block = await blockSize()
  const lowered = await loweredOf(noisy, { sizes: plain, block })
  const whole = onlyNeeded(
    lowered.with({
      nodes: [...lowered.nodes, ...lossGraph.nodes],
      initializers: new Map([...lowered.initializers, ...lossGraph.constants]),
      inputs: [...lowered.inputs, ...lossInputs],
      outputs: [...new Set([loss, ...logits, ...watch])].map(floating),
    }),
  )
  const { graph: forward, normsOf } =
    options.batchNorm === 'batch' ? withBatchStatistics(whole) : { graph: whole, normsOf: () => [] }
  const sizes = await sizesOf(forward)
  const norms = normsOf(sizes)
  const g = new Builder('training/', block, options.memory !== undefined)
  const weights = new Map([...trainableWeights(prepared)].filter(([name]) => !frozen(name)))
  const seed = new Map([[loss, g.scalar(1)]])
  const backward = differentiate(forward, sizes, seed, [...weights.keys(), ...watch], g)
  const trained = new Map([...weights].filter(([name]) => backward.of.has(name)))
  const shown = [
    loss,
    ...logits,
    ...backward.of.values(),
    ...watch,
    ...norms.flatMap((n) => [n.batchMean, n.batchVariance]),
  ]
  const built = (
    nodes: readonly Node[],
    constants: ReadonlyMap<string, Tensor>,
    values: ReadonlyMap<string, Value>,
  ) =>
    eagerly(
      fed(
        forward.with({
          nodes,
          initializers: new Map([...forward.initializers, ...g.constants, ...constants]),
          outputs: [...new Set(shown)].map(floating),
          values,
        }),
        trained,
      ),
    )
  const once = built([...backward.forward, ...g.nodes], new Map(), new Map())
  const again = (segments: number) => {
    const builder = new Builder('again/')
    const fixed = new Set([...forward.initializers.keys(), ...g.constants.keys()])
    const step = { forward: backward.forward, backward: g.nodes, places: backward.places }
    const how = { segments, fixed, outputs: new Set(shown) }
    const { nodes, values } = recomputed(step, sizes, how, builder)
    return built(nodes, builder.constants, values)
  }
  return {
    ...(await withinMemory(once, again, sizes, options)),
    inputs: prepared.inputs,
    lossInputs,
    noise,
    outputs,
    loss,
    gradients: backward.of,
    norms,
  }
}

const floating = (name: string): Value => ({ name, dtype: 'float32', dims: null })

/** The weights become inputs instead of constants. */
function fed(graph: Graph, weights: ReadonlyMap<string, Tensor>): Graph {
  const initializers = new Map(graph.initializers)
  for (const name of weights.keys()) initializers.delete(name)
  const inputs = [...weights].map(([name, { dims }]): Value => ({ name, dtype: 'float32', dims }))
  return graph.with({ initializers, inputs: [...graph.inputs, ...inputs] })
}

/** Without the nodes and constants that no output depends on. */
function onlyNeeded(graph: Graph): Graph {
  const needed = nodesNeeded(graph)
  const nodes = graph.nodes.filter((n) => needed.has(n))
  const read = new Set(nodes.flatMap(reads))
  const initializers = new Map([...graph.initializers].filter(([name]) => read.has(name)))
  return graph.with({ nodes, initializers })
}
