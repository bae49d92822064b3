import { floats, int64s, node } from '@espalier/server/compiler/graph/index.js'
import { type Case, y } from './check.js'

export const reducing: readonly Case[] = [
  ...[0, 1].map(
    (keepdims): Case => ({
      what: `ReduceMean, keepdims ${keepdims}`,
      nodes: [y('ReduceMean', ['x', 'axes'], { keepdims })],
      inputs: { x: [2, 3, 4, 5] },
      constants: { axes: int64s([1, -1]) },
      linear: true,
    }),
  ),
  {
    what: 'ReduceSum of everything',
    nodes: [y('ReduceSum', ['x'], { keepdims: 0 })],
    inputs: { x: [2, 3, 4] },
    linear: true,
  },

  ...['L1', 'L2', 'LogSumExp', 'Max', 'Min', 'SumSquare', 'Prod'].flatMap((kind) =>
    [0, 1].map(
      (keepdims): Case => ({
        what: `Reduce${kind}, keepdims ${keepdims}`,
        nodes: [y(`Reduce${kind}`, ['x', 'axes'], { keepdims })],
        inputs: { x: [2, 3, 4] },
        constants: { axes: int64s([0, -1]) },
        distinct: kind === 'Max' || kind === 'Min',
        within: kind === 'Max' || kind === 'Min' ? undefined : [0.4, 1.6],
      }),
    ),
  ),
  {
    what: 'ReduceLogSum of everything',
    nodes: [y('ReduceLogSum', ['x'])],
    inputs: { x: [2, 3, 4] },
    positive: true,
  },
  {
    what: 'ReduceProd with a zero',
    nodes: [
      node('Mul', ['x', 'mask'], ['z']),
      node('Add', ['z', 'x'], ['w']),
      y('ReduceProd', ['z', 'axes']),
    ],
    inputs: { x: [3, 4] },
    constants: { mask: floats([4], [1, 0, 1, 1]), axes: int64s([1]) },
  },
  ...[0, 1].flatMap((exclusive) =>
    [0, 1].map(
      (reverse): Case => ({
        what: `CumSum, exclusive ${exclusive}, reverse ${reverse}`,
        nodes: [y('CumSum', ['x', 'axis'], { exclusive, reverse })],
        inputs: { x: [3, 5] },
        constants: { axis: { dtype: 'int64', dims: [], data: BigInt64Array.of(1n) } },
        linear: true,
      }),
    ),
  ),
]
