import { elementCount, floats, intAttribute, intsAttribute } from '../../graph/index.js'
import type { GradientRule, GradientRules } from './rule.js'
import { tapsOf } from './weight-gradient.js'
import { windowOf } from './window.js'

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

/** What was put at an index comes from there. */
const maxUnpool: GradientRule = ({ g, dy, node, shape }) => {
  const [x, indices] = node.inputs
  const picked = g.op('GatherElements', [g.reshape(dy, [-1]), g.reshape(indices, [-1])])
  return [g.reshape(picked, shape(x))]
}

export const pools: GradientRules = {
  GlobalAveragePool: globalAveragePool,
  AveragePool: averagePool,
  MaxPool: maxPool,
  MaxUnpool: maxUnpool,
}
