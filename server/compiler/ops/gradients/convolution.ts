import { elementCount, intAttribute, intsAttribute, stringAttribute } from '../../graph/index.js'
import type { GradientRule, GradientRules, Place } from './rule.js'
import { type Window, windowOf } from './window.js'

/** One convolution with everything about its sizes. */
interface Convolution extends Window {
  readonly batch: number
  readonly group: number
  readonly inChannels: number
  readonly outChannels: number
  readonly input: readonly number[]
  readonly output: readonly number[]
}

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
const pointwise = (c: Convolution) =>
  all(c.kernel, 1) && all(c.strides, 1) && all(c.before, 0) && all(c.after, 0)

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

/** Σ over batch and places of dy[m] · x[c], group by group: [out, in / group]. `x` and `dy` have equal places. */
function correlate(p: Place, c: Convolution, x: string): string {
  const { g, dy } = p
  const places = elementCount(c.output)
  const [ins, outs] = [c.inChannels / c.group, c.outChannels / c.group]
  if (c.group === 1 && ins * outs > places * (ins + outs)) {
    // Small maps: moving both operands costs less than a product for every sample.
    const rows = g.reshape(g.transpose(g.reshape(dy, [c.batch, outs, places]), [1, 0, 2]), [outs, -1])
    const columns = g.reshape(g.transpose(g.reshape(x, [c.batch, ins, places]), [1, 0, 2]), [ins, -1])
    return g.matMul(rows, columns, { transB: true })
  }
  const grouped = (value: string, channels: number) =>
    g.reshape(value, c.group === 1 ? [c.batch, channels, places] : [c.batch, c.group, channels, places])
  const products = g.sum(g.matMul(grouped(dy, outs), grouped(x, ins), { transB: true }), [0])
  return c.group === 1 ? products : g.reshape(products, [c.outChannels, ins])
}

/** Depthwise: every channel of every sample is a group, the output's gradient its kernel. */
function depthwiseWeightGradient({ g, node, dy }: Place, c: Convolution): string {
  const n = c.batch * c.inChannels
  const whole = g.op(
    'Conv',
    [g.reshape(node.inputs[0], [1, n, ...c.input]), g.reshape(dy, [n, 1, ...c.output])],
    {
      kernel_shape: c.output,
      group: n,
      strides: c.dilations,
      dilations: c.strides,
      pads: [...c.before, ...c.after],
    },
  )
  // Rows that a stride skipped at the end make the result larger than the kernel.
  const axes = range(c.kernel.length, 2)
  const cropped = g.slice(
    whole,
    axes,
    axes.map(() => 0),
    c.kernel,
  )
  const each = g.reshape(cropped, [c.batch, c.inChannels, 1, ...c.kernel])
  return g.sum(each, [0])
}

/** Tap by tap: what each kernel element saw, correlated with the output's gradient. */
function weightGradient(p: Place, c: Convolution): string {
  const { g, node } = p
  const [x, w] = node.inputs
  if (pointwise(c)) return g.reshape(correlate(p, c, x), p.shape(w))
  if (c.group === c.inChannels && c.group === c.outChannels) return depthwiseWeightGradient(p, c)
  const axes = range(c.kernel.length, 2)
  const padded = g.pad(x, [0, 0, ...c.before, 0, 0, ...c.after])
  const taps = tapsOf(c.kernel).map((tap) => {
    const starts = tap.map((t, i) => t * c.dilations[i])
    const ends = starts.map((s, i) => s + (c.output[i] - 1) * c.strides[i] + 1)
    return correlate(p, c, g.slice(padded, axes, starts, ends, c.strides))
  })
  const each = taps.map((tap) => g.reshape(tap, [c.outChannels, c.inChannels / c.group, 1]))
  return g.reshape(each.length === 1 ? each[0] : g.op('Concat', each, { axis: 2 }), p.shape(w))
}

/** All index tuples of a kernel, in row-major order. */
export const tapsOf = (kernel: readonly number[]): number[][] =>
  kernel.reduce<number[][]>((taps, k) => taps.flatMap((t) => range(k).map((i) => [...t, i])), [[]])

const conv: GradientRule = (p) => {
  const c = convolution(p)
  return [
    p.wants(0) ? inputGradient(p, c) : '',
    p.wants(1) ? weightGradient(p, c) : '',
    p.wants(2) ? p.g.sum(p.dy, [0, ...range(c.kernel.length, 2)]) : '',
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
  const axes = range(c.kernel.length, 2)
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
    p.wants(2) ? g.sum(dy, [0, ...axes]) : '',
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
