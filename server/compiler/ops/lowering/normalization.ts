import {
  elementCount,
  float,
  floatAttribute,
  floats,
  intAttribute,
  intsAttribute,
} from '../../graph/index.js'
import type { Lowering, Lowerings } from './rule.js'

const filled = (count: number, value: number) => floats([count], new Float32Array(count).fill(value))

/** Groups of channels as the channels of an InstanceNormalization; scale and bias go a channel, or a group until 20. */
const groupNormalization: Lowering = ({ g, node, shape }) => {
  const [x, scale, bias] = node.inputs
  const dims = shape(x)
  const [batch, channels, ...places] = dims
  const groups = intAttribute(node, 'num_groups', 1)
  const apart = g.reshape(x, [batch, groups, (channels / groups) * elementCount(places)])
  const normal = g.op(
    'InstanceNormalization',
    [apart, g.constant(filled(groups, 1)), g.constant(filled(groups, 0))],
    { epsilon: float(floatAttribute(node, 'epsilon', 1e-5)) },
  )
  const [count] = shape(scale)
  const isOfChannels = count === channels
  const rows = isOfChannels ? dims : [batch, groups, channels / groups, elementCount(places)]
  const spread = (v: string) =>
    g.reshape(v, isOfChannels ? [channels, ...places.map(() => 1)] : [groups, 1, 1])
  return [g.reshape(g.add(g.mul(g.reshape(normal, rows), spread(scale)), spread(bias)), dims)]
}

const rmsNormalization: Lowering = ({ g, node }) => [
  g.op('SimplifiedLayerNormalization', node.inputs, {
    axis: intAttribute(node, 'axis', -1),
    epsilon: float(floatAttribute(node, 'epsilon', 1e-5)),
  }),
]

/** The sum of stream, branch and bias, then the normalisation over the last axis; the sum is the fourth output. */
const skip =
  (simplified: boolean): Lowering =>
  ({ g, node }) => {
    const [x, branch, gamma] = node.inputs
    const beta = simplified ? '' : node.inputs[3]
    const bias = node.inputs[simplified ? 3 : 4]
    const sum = bias ? g.add(g.add(x, branch), bias) : g.add(x, branch)
    const epsilon = float(floatAttribute(node, 'epsilon', 1e-5))
    const y = simplified
      ? g.op('SimplifiedLayerNormalization', [sum, gamma], { axis: -1, epsilon })
      : g.op('LayerNormalization', beta ? [sum, gamma, beta] : [sum, gamma], { axis: -1, epsilon })
    return [y, '', '', sum]
  }

/** x / (k + α/n · Σ x²)^β, the sum over n neighbouring channels: a convolution of ones. */
const lrn: Lowering = ({ g, node, shape }) => {
  const [x] = node.inputs
  const [batch, channels, ...places] = shape(x)
  const size = intAttribute(node, 'size', 1)
  const squares = g.reshape(g.mul(x, x), [batch, 1, channels, elementCount(places)])
  const before = (size - 1) >> 1
  const summed = g.op(
    'Conv',
    [squares, g.constant(floats([1, 1, size, 1], new Float32Array(size).fill(1)))],
    {
      kernel_shape: [size, 1],
      pads: [before, 0, size - 1 - before, 0],
    },
  )
  const scaled = g.scale(g.reshape(summed, shape(x)), floatAttribute(node, 'alpha', 1e-4) / size)
  const shifted = g.add(scaled, g.scalar(floatAttribute(node, 'bias', 1)))
  return [g.mul(x, g.op('Pow', [shifted, g.scalar(-floatAttribute(node, 'beta', 0.75))]))]
}

const lpNormalization: Lowering = ({ g, node, shape }) => {
  const [x] = node.inputs
  const rank = shape(x).length
  const axis = (intAttribute(node, 'axis', -1) + rank) % rank
  const norm = g.reduce(intAttribute(node, 'p', 2) === 1 ? 'ReduceL1' : 'ReduceL2', x, [axis])
  // The runtime gives zeros where the norm is zero.
  const safe = g.where(g.op('Equal', [norm, g.scalar(0)]), g.scalar(1), norm)
  return [g.div(x, safe)]
}

/** As ONNX's own function body has it: (x − E x) / (√(E x² − (E x)²) + 1e-9). */
const meanVariance: Lowering = ({ g, node }) => {
  const [x] = node.inputs
  const axes = intsAttribute(node, 'axes') ?? [0, 2, 3]
  const mean = g.reduce('ReduceMean', x, axes)
  const variance = g.sub(g.reduce('ReduceMean', g.mul(x, x), axes), g.mul(mean, mean))
  return [g.div(g.sub(x, mean), g.add(g.op('Sqrt', [variance]), g.scalar(1e-9)))]
}

export const normalizations: Lowerings = {
  GroupNormalization: groupNormalization,
  RMSNormalization: rmsNormalization,
  'com.microsoft.SkipLayerNormalization': skip(false),
  'com.microsoft.SkipSimplifiedLayerNormalization': skip(true),
  LRN: lrn,
  LpNormalization: lpNormalization,
  MeanVarianceNormalization: meanVariance,
}
