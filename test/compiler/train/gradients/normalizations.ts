import { floats, node } from '@espalier/server/compiler/graph/index.js'
import { type Case, y } from './check.js'

export const normalizations: readonly Case[] = [
  {
    what: 'BatchNormalization with fixed statistics',
    nodes: [y('BatchNormalization', ['x', 's', 'b', 'm', 'v'])],
    inputs: { x: [3, 4, 2, 5], s: [4], b: [4] },
    constants: { m: floats([4], [0.1, -1, 2, 0]), v: floats([4], [1, 0.5, 2, 3]) },
  },
  {
    what: 'BatchNormalization with statistics of the batch',
    nodes: [
      node('BatchNormalization', ['x', 's', 'b', 'm', 'v'], ['y', 'mean', 'variance'], {
        training_mode: 1,
        momentum: { type: 'float', value: 0 },
      }),
    ],
    inputs: { x: [3, 4, 2, 5], s: [4], b: [4] },
    constants: { m: floats([4], [0, 0, 0, 0]), v: floats([4], [1, 1, 1, 1]) },
  },
  { what: 'Softmax over the last axis', nodes: [y('Softmax', ['x'])], inputs: { x: [2, 3, 4] } },
  { what: 'Softmax over the first axis', nodes: [y('Softmax', ['x'], { axis: 0 })], inputs: { x: [3, 4] } },

  ...(
    [
      ['Softmax', 1],
      ['LogSoftmax', -1],
      ['LogSoftmax', 0],
    ] as const
  ).map(
    ([op, axis]): Case => ({
      what: `${op} over axis ${axis} of three`,
      nodes: [y(op, ['x'], { axis })],
      inputs: { x: [3, 4, 2] },
    }),
  ),
  {
    what: 'LayerNormalization',
    nodes: [y('LayerNormalization', ['x', 's', 'b'])],
    inputs: { x: [3, 4, 5], s: [5], b: [5] },
  },
  {
    what: 'LayerNormalization over two axes, without a bias',
    nodes: [y('LayerNormalization', ['x', 's'], { axis: 1, epsilon: 0.01 })],
    inputs: { x: [3, 4, 5], s: [4, 5] },
  },
  {
    what: 'SimplifiedLayerNormalization',
    nodes: [y('SimplifiedLayerNormalization', ['x', 's'])],
    inputs: { x: [3, 4, 5], s: [5] },
  },
  {
    what: 'InstanceNormalization',
    nodes: [y('InstanceNormalization', ['x', 's', 'b'])],
    inputs: { x: [3, 4, 2, 5], s: [4], b: [4] },
  },
  {
    what: 'BatchNormalization with statistics of the batch, over rows',
    nodes: [
      node('BatchNormalization', ['x', 's', 'b', 'm', 'v'], ['y', 'mean', 'variance'], {
        training_mode: 1,
        momentum: { type: 'float', value: 0 },
      }),
    ],
    inputs: { x: [7, 4], s: [4], b: [4] },
    constants: { m: floats([4], [0, 0, 0, 0]), v: floats([4], [1, 1, 1, 1]) },
  },
  {
    what: 'LayerNormalization whose statistics are read as well',
    nodes: [
      node('LayerNormalization', ['x', 's'], ['n', 'mean', 'inverse']),
      node('Mul', ['n', 'inverse'], ['z']),
      y('Add', ['z', 'mean']),
    ],
    inputs: { x: [3, 4, 5], s: [5] },
  },
]
