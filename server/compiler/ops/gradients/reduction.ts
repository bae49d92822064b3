import {
  elementCount,
  float,
  floatAttribute,
  floats,
  intAttribute,
  intsAttribute,
  numbersOf,
} from '../../graph/index.js'
import { tapsOf } from './convolution.js'
import type { GradientRule, GradientRules, Place } from './rule.js'
import { windowOf } from './window.js'

/** The axes that a reduction sums, from its attribute or its second input; all where none are given. */
function axesOf(p: Place): number[] {
  const rank = p.shape(p.node.inputs[0]).length
  const operand = p.node.inputs[1] ? p.constant(p.node.inputs[1]) : undefined
  const axes = intsAttribute(p.node, 'axes') ?? (operand && numbersOf(operand)) ?? []
  return axes.length === 0 ? [...Array(rank).keys()] : axes.map((a) => (a + rank) % rank)
}

const spread =
  (share: (p: Place, axes: readonly number[]) => number): GradientRule =>
  (p) => {
    const { g } = p
    const dims = p.shape(p.node.inputs[0])
    const axes = axesOf(p)
    const kept = dims.map((d, i) => (axes.includes(i) ? 1 : d))
    return [p.broadcast(g.scale(g.reshape(p.dy, kept), share(p, axes)))]
  }

const mean = spread((p, axes) => 1 / elementCount(axes.map((a) => p.shape(p.node.inputs[0])[a])))

const globalAveragePool: GradientRule = ({ g, dy, node, shape, broadcast }) => [
  broadcast(g.scale(dy, 1 / elementCount(shape(node.inputs[0]).slice(2)))),
]

const averagePool: GradientRule = (p) => {
  const { g, node } = p
  const [, channels, ...input] = p.shape(node.inputs[0])
  const output = p.shape(node.outputs[0]).slice(2)
  const window = windowOf(node, intsAttribute(node, 'kernel_shape') ?? [], input, output)
  const withBorder = intAttribute(node, 'count_include_pad', 0) === 1
  const counts = tapsOf(output).map(
    (place) =>
      tapsOf(window.kernel).filter((tap) =>
        tap.every((t, i) => {
          const at = place[i] * window.strides[i] + t * window.dilations[i] - window.before[i]
          return withBorder || (at >= 0 && at < input[i])
        }),
      ).length,
  )
  const each = g.mul(
    p.dy,
    g.constant(
      floats(
        [1, 1, ...output],
        counts.map((n) => 1 / n),
      ),
    ),
  )
  const ones = elementCount(window.kernel)
  const rest = input.map(
    (size, i) =>
      size -
      ((output[i] - 1) * window.strides[i] +
        window.dilations[i] * (window.kernel[i] - 1) +
        1 -
        window.before[i] -
        window.after[i]),
  )
  const kernel = g.constant(
    floats([channels, 1, ...window.kernel], new Float32Array(channels * ones).fill(1)),
  )
  return [
    g.op('ConvTranspose', [each, kernel], {
      kernel_shape: window.kernel,
      strides: window.strides,
      pads: [...window.before, ...window.after],
      dilations: window.dilations,
      group: channels,
      output_padding: rest,
    }),
  ]
}

/** Sends each gradient to the place that won; windows that overlap add up. */
const maxPool: GradientRule = (p) => {
  const { g, node } = p
  const dims = p.shape(node.inputs[0])
  const indices = g.reshape(p.output(1), [-1])
  const zeros = g.op('Expand', [g.scalar(0), g.ints([elementCount(dims)])])
  const flat = g.op('ScatterElements', [zeros, indices, g.reshape(p.dy, [-1])], { reduction: 'add' })
  return [g.reshape(flat, dims)]
}

const softmax: GradientRule = ({ g, dy, node, shape }) => {
  const [y] = node.outputs
  const rank = shape(y).length
  const axis = (intAttribute(node, 'axis', -1) + rank) % rank
  const weighted = g.mul(dy, y)
  return [g.sub(weighted, g.mul(y, g.sum(weighted, [axis], true)))]
}

const logSoftmax: GradientRule = ({ g, dy, node, shape }) => {
  const [y] = node.outputs
  const rank = shape(y).length
  const axis = (intAttribute(node, 'axis', -1) + rank) % rank
  return [g.sub(dy, g.mul(g.op('Exp', [y]), g.sum(dy, [axis], true)))]
}

const channelwise = (p: Place) => {
  const dims = p.shape(p.node.inputs[0])
  return {
    channels: dims[1],
    axes: dims.flatMap((_, i) => (i === 1 ? [] : [i])),
    count: elementCount(dims) / dims[1],
  }
}

/** a · x + b for each channel, in one pass. */
function affine({ g }: Place, x: string, a: string, b: string, channels: number): string {
  const zero = g.constant(floats([channels], new Float32Array(channels)))
  const one = g.constant(floats([channels], new Float32Array(channels).fill(1)))
  return g.op('BatchNormalization', [x, a, b, zero, one], { epsilon: float(0) })
}

/**
 * With statistics of the batch (training mode, whose second and third outputs are the batch's mean and variance),
 * dx is affine in dy and x; otherwise the layer is a fixed scale and shift.
 */
const batchNormalization: GradientRule = (p) => {
  const { g, dy, node } = p
  const [x, scale, , fixedMean, fixedVariance] = node.inputs
  const { channels, axes, count } = channelwise(p)
  const training = intAttribute(node, 'training_mode', 0) === 1
  const epsilon = g.scalar(floatAttribute(node, 'epsilon', 1e-5))
  const mean = training ? p.output(1) : fixedMean
  const variance = training ? p.output(2) : fixedVariance
  const inverse = g.op('Reciprocal', [g.op('Sqrt', [g.add(variance, epsilon)])])
  const a = g.mul(scale, inverse)
  const dBias = g.sum(dy, axes)
  const dScale = () => g.mul(g.sub(g.sum(g.mul(dy, x), axes), g.mul(mean, dBias)), inverse)
  const zero = () => g.constant(floats([channels], new Float32Array(channels)))
  if (!training) return [affine(p, dy, a, zero(), channels), p.wants(1) ? dScale() : '', dBias]
  const ds = dScale()
  if (!p.wants(0)) return ['', ds, dBias]
  const b = g.scale(g.mul(g.mul(a, inverse), ds), -1 / count)
  const c = g.sub(g.scale(g.mul(a, dBias), -1 / count), g.mul(b, mean))
  return [g.add(affine(p, dy, a, c, channels), affine(p, x, b, zero(), channels)), ds, dBias]
}

export const reductions: GradientRules = {
  ReduceSum: spread(() => 1),
  ReduceMean: mean,
  GlobalAveragePool: globalAveragePool,
  AveragePool: averagePool,
  MaxPool: maxPool,
  Softmax: softmax,
  LogSoftmax: logSoftmax,
  BatchNormalization: batchNormalization,
}
