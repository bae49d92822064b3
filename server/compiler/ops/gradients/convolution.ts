import { elementCount, intAttribute, intsAttribute, stringAttribute } from '../../graph/index.js'
import type { GradientRule, GradientRules, Place } from './rule.js'
import { type Convolution, weightGradient } from './weight-gradient.js'
import { type Window, windowOf } from './window.js'

function convolution({ node, shape }: Place): Convolution {
  const [batch, inChannels, ...input] = shape(node.inputs[0])
  const [outChannels, , ...kernel] = shape(node.inputs[1])
  const output = shape(node.outputs[0]).slice(2)
  const group = intAttribute(node, 'group', 1)
  return {
    ...windowOf(node, kernel, input, output),
    batch,
    group,
    inChannels,
    outChannels,
    input,
    output,
  }
}

const all = (values: readonly number[], wanted: number) => values.every((v) => v === wanted)
const range = (n: number, from = 0) => Array.from({ length: n }, (_, i) => from + i)

/** A stride-1 convolution's input gradient is a convolution with the flipped kernel, its channel axes swapped. */
function flipped({ g, node }: Place, c: Convolution): string {
  const axes = range(c.kernel.length, 2)
  const spread = axes.filter((a) => c.kernel[a - 2] > 1)
  const turned =
    spread.length === 0
      ? node.inputs[1]
      : g.slice(
          node.inputs[1],
          spread,
          spread.map(() => -1),
          spread.map(() => -(2 ** 31)),
          spread.map(() => -1),
        )
  return c.group === 1 ? g.transpose(turned, [1, 0, ...axes]) : turned
}

function inputGradient(p: Place, c: Convolution): string {
  const { g, dy } = p
  const reach = c.kernel.map((k, i) => c.dilations[i] * (k - 1))
  const before = reach.map((r, i) => r - c.before[i])
  const after = reach.map((r, i) => r - c.after[i])
  const depthwise = c.group === c.inChannels && c.group === c.outChannels
  // Without padding the flipped convolution works on a larger map than its transposed twin.
  const grows = elementCount(c.input) > 1.5 * elementCount(c.output)
  const flips = (c.group === 1 || depthwise) && !grows && [...before, ...after].every((v) => v >= 0)
  if (all(c.strides, 1) && flips)
    return g.op('Conv', [dy, flipped(p, c)], {
      kernel_shape: c.kernel,
      pads: [...before, ...after],
      dilations: c.dilations,
      group: c.group,
    })
  const rest = c.input.map(
    (size, i) => size - ((c.output[i] - 1) * c.strides[i] + reach[i] + 1 - c.before[i] - c.after[i]),
  )
  return g.op('ConvTranspose', [dy, p.node.inputs[1]], {
    kernel_shape: c.kernel,
    strides: c.strides,
    pads: [...c.before, ...c.after],
    dilations: c.dilations,
    group: c.group,
    output_padding: rest,
  })
}

const conv: GradientRule = (p) => {
  const c = convolution(p)
  return [
    p.wants(0) ? inputGradient(p, c) : '',
    p.wants(1) ? weightGradient(p, c) : '',
    p.wants(2) ? p.g.sumByChannel(p.dy, p.shape(p.node.outputs[0])) : '',
  ]
}

/** The way back of a convolution from its output to its input; so its own way back is that convolution. */
const convTranspose: GradientRule = (p) => {
  const { g, dy, node, shape } = p
  const [x, w] = node.inputs
  const [batch, outChannels, ...output] = shape(x)
  const [, inChannels, ...input] = shape(node.outputs[0])
  const window = transposedWindow(p, shape(w).slice(2), output, input)
  const group = intAttribute(node, 'group', 1)
  const c: Convolution = { ...window, batch, group, inChannels, outChannels, input, output }
  const back = () =>
    g.op('Conv', [dy, w], {
      kernel_shape: c.kernel,
      strides: c.strides,
      dilations: c.dilations,
      pads: [...c.before, ...c.after],
      group,
    })
  // Its weight [out, in / group, kernel] is that of the convolution, which reads dy and gives x.
  const mirrored: Place = { ...p, node: { ...node, inputs: [dy, w] }, dy: x }
  return [
    p.wants(0) ? back() : '',
    p.wants(1) ? weightGradient(mirrored, c) : '',
    p.wants(2) ? g.sumByChannel(dy, shape(node.outputs[0])) : '',
  ]
}

/** Of the convolution that leads from the larger map to the smaller one. */
function transposedWindow(
  { node }: Place,
  kernel: readonly number[],
  small: readonly number[],
  large: readonly number[],
): Window {
  const ones = kernel.map(() => 1)
  const strides = intsAttribute(node, 'strides') ?? ones
  const dilations = intsAttribute(node, 'dilations') ?? ones
  const extra = intsAttribute(node, 'output_padding') ?? kernel.map(() => 0)
  const auto = stringAttribute(node, 'auto_pad', 'NOTSET')
  const pads = intsAttribute(node, 'pads')
  const reach = kernel.map((k, i) => (small[i] - 1) * strides[i] + dilations[i] * (k - 1) + 1)
  const total = reach.map((r, i) => r + extra[i] - large[i])
  const before = total.map((t, i) => {
    if (pads && auto === 'NOTSET' && !node.attributes.has('output_shape')) return pads[i]
    return auto === 'SAME_UPPER' ? t >> 1 : t - (t >> 1)
  })
  // What the last window reaches beyond the map; negative where it ends short of it.
  const after = reach.map((r, i) => r - large[i] - before[i])
  return { kernel, strides, dilations, before, after: after.map((a) => Math.max(0, a)) }
}

export const convolutions: GradientRules = { Conv: conv, ConvTranspose: convTranspose }
