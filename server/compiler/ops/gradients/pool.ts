import { elementCount, floats, intAttribute, intsAttribute } from '../../graph/index.js'
import type { GradientRule, GradientRules, Place } from './rule.js'
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

/**
 * Of windows that lie side by side and leave no place out: all places of a window that reached its maximum share its
 * gradient equally. That spares the runtime the indices, with which it takes 3 to 10 times as long, and takes up to a third more
 * of a step's memory.
 */
function sharing({ g, dy, node }: Place, dims: readonly number[], kernel: readonly number[]): string {
  const [x] = node.inputs
  const spread = (small: string) =>
    g.op('Resize', [small, '', '', g.ints(dims)], {
      mode: 'nearest',
      coordinate_transformation_mode: 'asymmetric',
      nearest_mode: 'floor',
    })
  const hits = g.op('Equal', [x, spread(node.outputs[0])])
  const share = g.op('AveragePool', [g.cast(hits, 'float32')], { kernel_shape: kernel, strides: kernel })
  return g.masked(spread(g.div(g.scale(dy, 1 / elementCount(kernel)), share)), hits)
}

/** Sends each gradient to the place that won; windows that overlap add up. */
const maxPool: GradientRule = (p) => {
  const { g, node } = p
  const dims = p.shape(node.inputs[0])
  const [, , ...input] = dims
  const kernel = intsAttribute(node, 'kernel_shape') ?? []
  const w = windowOf(node, kernel, input, p.shape(node.outputs[0]).slice(2))
  const isTiled = kernel.every(
    (k, i) => w.strides[i] === k && w.dilations[i] === 1 && w.before[i] === 0 && input[i] % k === 0,
  )
  if (isTiled && kernel.length === 2 && !g.isLean) return [sharing(p, dims, kernel)]
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
