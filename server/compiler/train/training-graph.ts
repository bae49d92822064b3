import { EspalierError } from '@espalier/shared'
import {
  elementCount,
  float,
  floats,
  type Graph,
  type Node,
  type Value,
  withAttributes,
} from '../graph/index.js'
import { Builder } from '../ops/index.js'
import { differentiate } from './differentiate.js'
import { classificationLoss, type LossTerms, TARGETS, TEACHER_LOGITS } from './loss.js'
import { lower } from './lower.js'
import { trainableWeights } from './parameters.js'
import { prepare, requirePlainSoftmax } from './prepare.js'
import { sizesOf } from './shapes.js'

/** Statistics of one BatchNormalization: the file's running averages and the outputs that hold the batch's. */
export interface NormLayer {
  readonly mean: string
  readonly variance: string
  readonly channels: number
  readonly batchMean: string
  readonly batchVariance: string
  /** Values that each statistic is taken over, for the unbiased variance. */
  readonly count: number
}

/** Forward pass, loss and backward pass as one graph: inputs are a batch, its targets and the weights. */
export interface TrainingGraph {
  readonly graph: Graph
  readonly input: string
  readonly classes: number
  /** Outputs. */
  readonly loss: string
  readonly logits: string
  /** Output that holds the gradient, by weight. */
  readonly gradients: ReadonlyMap<string, string>
  readonly norms: readonly NormLayer[]
}

export interface TrainingGraphOptions {
  readonly batch: number
  readonly sample: readonly number[]
  readonly batchNorm: 'batch' | 'frozen'
  readonly loss: LossTerms
  /** Values besides the weights whose gradients (and themselves) become outputs. */
  readonly watch?: readonly string[]
}

/** The network without a final Softmax: what the losses, which take logits, are computed from. */
export function logitsOf(graph: Graph): string {
  const [output] = graph.outputs
  const producer = graph.producer(output.name)
  return producer?.op === 'Softmax' ? producer.inputs[0] : output.name
}

/** @throws GRADIENT_UNKNOWN, MODEL_UNSUPPORTED, DATA_SHAPE_MISMATCH */
export async function trainingGraph(graph: Graph, options: TrainingGraphOptions): Promise<TrainingGraph> {
  const { batch } = options
  const prepared = prepare(graph, batch, options.sample)
  const logits = logitsOf(prepared)
  const cut = prepared.with({
    outputs: [{ name: logits, dtype: 'float32', dims: null }],
    nodes: prepared.nodes.filter((n) => !(n.op === 'Softmax' && n.outputs[0] === prepared.outputs[0].name)),
  })
  const plain = await sizesOf(cut)
  requirePlainSoftmax(cut, graph.opset, plain.dims)
  const lowered = lower(cut, plain)
  const { graph: forward, norms } =
    options.batchNorm === 'batch' ? withBatchStatistics(lowered) : { graph: lowered, norms: [] }
  const sizes = await sizesOf(forward)
  const dims = sizes.dims.get(logits) ?? []
  const classes = elementCount(dims) / batch
  if (graph.outputs.length !== 1 || dims[0] !== batch || dims[1] !== classes)
    throw new EspalierError(
      'MODEL_UNSUPPORTED',
      `training needs a classifier with one output [batch, classes]; this network gives ${graph.outputs.length} ` +
        `output(s), the first of them [${dims.join(', ')}] for ${batch} samples`,
    )
  const g = new Builder('training/')
  const flat = dims.length === 2 ? logits : g.reshape(logits, [batch, classes])
  const loss = classificationLoss(g, flat, batch, options.loss)
  const seed = dims.length === 2 ? loss.gradient : g.reshape(loss.gradient, dims)
  const weights = trainableWeights(cut)
  const wanted = [...weights.keys(), ...(options.watch ?? [])]
  const backward = differentiate(forward, sizes, new Map([[logits, seed]]), wanted, g)
  const floating = (name: string, shape: readonly number[] | null): Value => ({
    name,
    dtype: 'float32',
    dims: shape,
  })
  const trained = [...weights].filter(([name]) => backward.of.has(name))
  const inputs = [...forward.inputs]
  if (options.loss.teacherShare < 1) inputs.push(floating(TARGETS, [batch, classes]))
  if (options.loss.teacherShare > 0) inputs.push(floating(TEACHER_LOGITS, [batch, classes]))
  const initializers = new Map([...forward.initializers, ...g.constants])
  for (const [name, { dims }] of trained) {
    initializers.delete(name)
    inputs.push(floating(name, dims))
  }
  const outputs = new Set([loss.value, flat, ...backward.of.values(), ...(options.watch ?? [])])
  for (const n of norms) outputs.add(n.batchMean).add(n.batchVariance)
  return {
    graph: forward.with({
      nodes: [...backward.forward, ...g.nodes],
      initializers,
      inputs,
      outputs: [...outputs].map((name) => floating(name, null)),
      values: new Map(),
    }),
    input: forward.inputs[0].name,
    classes,
    loss: loss.value,
    logits: flat,
    gradients: backward.of,
    norms: norms.map((n) => {
      const shape = sizes.dims.get(n.input) ?? []
      return { ...n, count: elementCount(shape) / n.channels }
    }),
  }
}

/**
 * BatchNormalization in training mode with momentum 0, so that its further outputs are the batch's own mean and
 * (biased) variance. Every layer reads placeholders of its own for the running averages, and its statistics must become outputs of the
 * graph: otherwise onnxruntime 1.30 lets buffers overlap and gradients are silently wrong.
 */
export function withBatchStatistics(graph: Graph) {
  const initializers = new Map(graph.initializers)
  const norms: (Omit<NormLayer, 'count'> & { input: string })[] = []
  const nodes = graph.nodes.map((n): Node => {
    if (n.op !== 'BatchNormalization') return n
    const [input, scale, bias, mean, variance] = n.inputs
    const channels = graph.constant(mean)?.dims[0]
    if (channels === undefined) return n
    const [batchMean, batchVariance] = ['mean', 'variance'].map((s) => `espalier.batch.${s}/${n.outputs[0]}`)
    const placeholders = ['mean', 'variance'].map((s) => {
      const name = `espalier.dummy.${s}/${n.outputs[0]}`
      initializers.set(name, floats([channels], new Float32Array(channels)))
      return name
    })
    norms.push({ mean, variance, channels, batchMean, batchVariance, input })
    return {
      ...withAttributes(n, { training_mode: 1, momentum: float(0) }),
      inputs: [input, scale, bias, ...placeholders],
      outputs: [n.outputs[0], batchMean, batchVariance],
    }
  })
  return { graph: graph.with({ nodes, initializers }), norms }
}
