import { int64s, tensor } from '@espalier/server/compiler/graph/index.js'
import type { ConvOptions, Net } from './net.js'

/** An architecture: a network with random weights, small by default, in the structure of its paper. */
export interface Architecture {
  readonly name: string
  /** What pruning has to get right in it. */
  readonly peculiarity: string
  readonly make: () => ReturnType<Net['build']>
}

export type Activation = (n: Net, x: string) => string

export const relu: Activation = (n, x) => n.op('Relu', [x])
export const relu6: Activation = (n, x) => n.op('Clip', [x, n.scalar(0), n.scalar(6)])
export const silu: Activation = (n, x) => n.op('Mul', [x, n.op('Sigmoid', [x])])
export const hardSwish: Activation = (n, x) => n.op('HardSwish', [x])
export const linear: Activation = (_, x) => x

/** GELU as PyTorch's exporter spells it. */
export const gelu: Activation = (n, x) => {
  const erf = n.op('Erf', [n.op('Div', [x, n.scalar(Math.SQRT2)])])
  return n.op('Mul', [n.op('Mul', [x, n.op('Add', [erf, n.scalar(1)])]), n.scalar(0.5)])
}

export function convBn(
  n: Net,
  x: string,
  from: number,
  to: number,
  { act = relu, ...options }: ConvOptions & { readonly act?: Activation } = {},
): string {
  return act(n, n.batchNorm(n.conv(x, from, to, { bias: false, ...options }), to))
}

export const maxPool = (n: Net, x: string, k = 2, stride = k, pad = 0): string =>
  n.op('MaxPool', [x], { kernel_shape: [k, k], strides: [stride, stride], pads: [pad, pad, pad, pad] })

export const averagePool = (n: Net, x: string, k = 2, stride = k, pad = 0): string =>
  n.op('AveragePool', [x], { kernel_shape: [k, k], strides: [stride, stride], pads: [pad, pad, pad, pad] })

/** Hu et al. 2018: channels weighted by a small network over their means. */
export function squeezeExcite(
  n: Net,
  x: string,
  channels: number,
  squeezed: number,
  { act = relu, gate = 'Sigmoid' }: { act?: Activation; gate?: string } = {},
): string {
  const mean = n.op('GlobalAveragePool', [x])
  const inner = act(n, n.conv(mean, channels, squeezed, { k: 1 }))
  return n.op('Mul', [x, n.op(gate, [n.conv(inner, squeezed, channels, { k: 1 })])])
}

/** nn.Linear over the last of more than two dimensions, as PyTorch's exporter writes it. */
export function dense(n: Net, x: string, from: number, to: number, { bias = true } = {}): string {
  const y = n.op('MatMul', [x, n.weight([from, to])])
  return bias ? n.op('Add', [n.weight([to]), y]) : y
}

export const layerNorm = (n: Net, x: string, width: number): string =>
  n.op('LayerNormalization', [x, n.weight([width], { around: 1 }), n.weight([width])], {
    axis: -1,
    epsilon: 1e-5,
  })

/** Layer normalisation in primitives, as exports before opset 17 have it. */
export function spelledLayerNorm(n: Net, x: string, width: number): string {
  const centred = n.op('Sub', [x, n.op('ReduceMean', [x], { axes: [-1] })])
  const variance = n.op('ReduceMean', [n.op('Pow', [centred, n.scalar(2)])], { axes: [-1] })
  const normal = n.op('Div', [centred, n.op('Sqrt', [n.op('Add', [variance, n.scalar(1e-5)])])])
  return n.op('Add', [n.op('Mul', [normal, n.weight([width], { around: 1 })]), n.weight([width])])
}

/** x.size(axis) as a vector of one, as traced PyTorch has it. */
export const sizeOf = (n: Net, x: string, axis: number): string =>
  n.op('Unsqueeze', [n.op('Gather', [n.op('Shape', [x]), n.int(axis)]), n.ints([0])])

/** x.view(…): sizes are numbers or vectors of one that `sizeOf` gave. */
export const view = (n: Net, x: string, ...sizes: readonly (number | string)[]): string =>
  n.op('Reshape', [
    x,
    sizes.every((s) => typeof s === 'number')
      ? n.ints(sizes)
      : n.op(
          'Concat',
          sizes.map((s) => (typeof s === 'number' ? n.ints([s]) : s)),
          { axis: 0 },
        ),
  ])

/** x.expand(…), −1 keeping a size, with the arithmetic that PyTorch's exporter puts before Expand. */
export function expand(n: Net, x: string, ...sizes: readonly (number | string)[]): string {
  const wanted = n.op(
    'Concat',
    sizes.map((s) => (typeof s === 'number' ? n.ints([s]) : s)),
    { axis: 0 },
  )
  const ones = n.op('ConstantOfShape', [n.ints([sizes.length])], { value: int64s([1]) })
  const kept = n.op('Equal', [wanted, n.op('Mul', [ones, n.int(-1)])])
  return n.op('Expand', [x, n.op('Where', [kept, ones, wanted])])
}

export const transpose = (n: Net, x: string, ...perm: readonly number[]): string =>
  n.op('Transpose', [x], { perm })

/** x[…, from:, …] along one axis, its end written as PyTorch's exporter does: the largest int64. */
export function rest(n: Net, x: string, axis: number, from: number): string {
  const end = n.constant('i', tensor('int64', [1], BigInt64Array.of(2n ** 63n - 1n)))
  return n.op('Slice', [x, n.ints([from]), end, n.ints([axis]), n.ints([1])])
}

/** x[…, from:to, …] along one axis. */
export const cut = (n: Net, x: string, axis: number, from: number, to: number): string =>
  n.op('Slice', [x, n.ints([from]), n.ints([to]), n.ints([axis]), n.ints([1])])
