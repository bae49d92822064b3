import { elementCount, floats } from '../../graph/index.js'
import type { Place } from './rule.js'
import type { Window } from './window.js'

/** One convolution with everything about its sizes. */
export interface Convolution extends Window {
  readonly batch: number
  readonly group: number
  readonly inChannels: number
  readonly outChannels: number
  readonly input: readonly number[]
  readonly output: readonly number[]
}

const all = (values: readonly number[], wanted: number) => values.every((v) => v === wanted)
const range = (n: number, from = 0) => Array.from({ length: n }, (_, i) => from + i)
const isPointwise = (c: Convolution) =>
  all(c.kernel, 1) && all(c.strides, 1) && all(c.before, 0) && all(c.after, 0)

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

/**
 * Depthwise: every channel of every sample is a group, the output's gradient its kernel; or, where the runtime has no blocks
 * (with which that takes a fifth of the time), maps are narrow and no column is skipped, products of whole rows.
 */
function depthwise(p: Place, c: Convolution): string {
  const isNarrow = c.kernel.length === 2 && c.strides[1] === 1 && c.output[1] <= WIDEST
  return isNarrow && !p.g.blocks(c.batch * c.inChannels) ? depthwiseByRows(p, c) : depthwiseByGroups(p, c)
}

function depthwiseByGroups(p: Place, c: Convolution): string {
  const { g, node, dy } = p
  const n = c.batch * c.inChannels
  const input = g.reshape(node.inputs[0], [1, n, ...c.input])
  const whole = correlationOf(p, c, input, g.reshape(dy, [n, 1, ...c.output]), n)
  return g.sum(g.reshape(whole, [c.batch, c.inChannels, 1, ...c.kernel]), [0])
}

/**
 * For each row of the kernel, dyᵀ · x over the rows of every map gives [columns out, columns in], of which the kernel's columns are
 * diagonals: a product with ones at their places adds them up.
 */
function depthwiseByRows(p: Place, c: Convolution): string {
  const { g, node, dy } = p
  const [channels, [rows, columns], [height, width]] = [c.inChannels, c.kernel, c.output]
  const padded = g.pad(node.inputs[0], [0, 0, ...c.before, 0, 0, ...c.after])
  const wide = c.input[1] + c.before[1] + c.after[1]
  const ones = new Float32Array(width * wide * columns)
  for (let at = 0; at < width; at++)
    for (let tap = 0; tap < columns; tap++) ones[(at * wide + at + tap * c.dilations[1]) * columns + tap] = 1
  const diagonals = g.constant(floats([width * wide, columns], ones))
  const each = Array.from({ length: rows }, (_, row) => {
    const start = row * c.dilations[0]
    const seen = g.slice(padded, [2], [start], [start + (height - 1) * c.strides[0] + 1], [c.strides[0]])
    const products = g.sum(g.matMul(dy, seen, { transA: true }), [0])
    return g.reshape(g.matMul(g.reshape(products, [channels, width * wide]), diagonals), [
      channels,
      1,
      1,
      columns,
    ])
  })
  return each.length === 1 ? each[0] : g.op('Concat', each, { axis: 2 })
}

/** A convolution of the input by the output's gradient, cut to the kernel: a stride's skipped end makes it larger. */
function correlationOf({ g }: Place, c: Convolution, input: string, kernel: string, group: number): string {
  const whole = g.op('Conv', [input, kernel], {
    kernel_shape: c.output,
    group,
    strides: c.dilations,
    dilations: c.strides,
    pads: [...c.before, ...c.after],
  })
  const axes = range(c.kernel.length, 2)
  return g.slice(
    whole,
    axes,
    axes.map(() => 0),
    c.kernel,
  )
}

/** Batch and channels swapped, one convolution says it all; quick where few channels meet a large kernel. */
function swapped(p: Place, c: Convolution): string {
  const { g, node, dy } = p
  const perm = [1, 0, ...range(c.kernel.length, 2)]
  return g.transpose(correlationOf(p, c, g.transpose(node.inputs[0], perm), g.transpose(dy, perm), 1), perm)
}

/** What each kernel element saw of the input, one map a tap. */
function seenByTaps({ g, node }: Place, c: Convolution): string[] {
  const axes = range(c.kernel.length, 2)
  const padded = g.pad(node.inputs[0], [0, 0, ...c.before, 0, 0, ...c.after])
  return tapsOf(c.kernel).map((tap) => {
    const starts = tap.map((t, i) => t * c.dilations[i])
    const ends = starts.map((s, i) => s + (c.output[i] - 1) * c.strides[i] + 1)
    return g.slice(padded, axes, starts, ends, c.strides)
  })
}

/** All taps side by side, in one product a sample; quick where there are few channels. */
function byColumns(p: Place, c: Convolution): string {
  const { g } = p
  const places = elementCount(c.output)
  const maps = seenByTaps(p, c).map((x) => g.reshape(x, [c.batch, c.inChannels, 1, places]))
  const columns = g.reshape(g.op('Concat', maps, { axis: 2 }), [c.batch, c.inChannels * maps.length, places])
  const rows = g.reshape(p.dy, [c.batch, c.outChannels, places])
  return g.sum(g.matMul(rows, columns, { transB: true }), [0])
}

/** Tap by tap: what each kernel element saw, correlated with the output's gradient. */
function byTaps(p: Place, c: Convolution): string {
  const { g } = p
  const taps = seenByTaps(p, c).map((x) =>
    g.reshape(correlate(p, c, x), [c.outChannels, c.inChannels / c.group, 1]),
  )
  return taps.length === 1 ? taps[0] : g.op('Concat', taps, { axis: 2 })
}

/** Wider maps than this are quicker by groups. */
const WIDEST = 32

/** The gradient of a convolution's weight; `p.node` reads x first and `p.dy` is the gradient of what it gives. */
export function weightGradient(p: Place, c: Convolution): string {
  const dims = p.shape(p.node.inputs[1])
  const taps = elementCount(c.kernel)
  // Measured over the shapes of LeNet-5, ResNet-20, MobileNets and the stems of ImageNet's networks.
  const formulation = () => {
    if (isPointwise(c)) return correlate(p, c, p.node.inputs[0])
    if (c.group === c.inChannels && c.group === c.outChannels) return depthwise(p, c)
    if (c.group === 1 && c.inChannels <= 8 && taps >= 25) return swapped(p, c)
    return c.group === 1 && c.inChannels <= 4 && taps > 1 ? byColumns(p, c) : byTaps(p, c)
  }
  return p.g.reshape(formulation(), dims)
}

/** All index tuples of a kernel, in row-major order. */
export const tapsOf = (kernel: readonly number[]): number[][] =>
  kernel.reduce<number[][]>((taps, k) => taps.flatMap((t) => range(k).map((i) => [...t, i])), [[]])
