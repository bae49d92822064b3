import { elementCount, float, floats, type Graph, type Node, withAttributes } from '../graph/index.js'
import { constantBehind } from './parameters.js'
import type { Sizes } from './shapes.js'

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
    const channels = constantBehind(graph, mean)?.dims[0]
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
  const normsOf = ({ dims }: Pick<Sizes, 'dims'>): NormLayer[] =>
    norms.map(({ input, ...n }) => ({ ...n, count: elementCount(dims.get(input) ?? []) / n.channels }))
  return { graph: graph.with({ nodes, initializers }), norms, normsOf }
}
