import { node } from '@espalier/server/compiler/graph/index.js'
import { type Case, y } from './check.js'
import { unary } from './pointwise.js'

export const pooling: readonly Case[] = [
  { ...unary('GlobalAveragePool'), linear: true, inputs: { x: [2, 3, 4, 5] } },
  {
    what: 'a gate that is the mean of what it gates',
    nodes: [node('GlobalAveragePool', ['x'], ['z']), y('Mul', ['x', 'z'])],
    inputs: { x: [2, 3, 4, 5] },
  },
  {
    what: 'AveragePool, the border counted',
    nodes: [
      y('AveragePool', ['x'], {
        kernel_shape: [3, 3],
        strides: [2, 2],
        pads: [1, 1, 1, 1],
        count_include_pad: 1,
      }),
    ],
    inputs: { x: [2, 3, 6, 7] },
    linear: true,
  },
  {
    what: 'AveragePool, the border left out',
    nodes: [y('AveragePool', ['x'], { kernel_shape: [3, 2], strides: [2, 2], pads: [1, 0, 1, 1] })],
    inputs: { x: [2, 3, 6, 7] },
    linear: true,
  },
  {
    what: 'MaxPool',
    distinct: true,
    nodes: [y('MaxPool', ['x'], { kernel_shape: [2, 2], strides: [2, 2] })],
    inputs: { x: [2, 3, 6, 7] },
  },
  {
    what: 'MaxPool with windows side by side',
    distinct: true,
    nodes: [y('MaxPool', ['x'], { kernel_shape: [3, 2], strides: [3, 2] })],
    inputs: { x: [2, 3, 6, 8] },
  },
  {
    what: 'MaxPool with windows that overlap',
    distinct: true,
    nodes: [y('MaxPool', ['x'], { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] })],
    inputs: { x: [2, 3, 6, 7] },
  },

  {
    what: 'MaxPool, dilated and rounded up, over one axis',
    distinct: true,
    nodes: [
      y('MaxPool', ['x'], { kernel_shape: [3], strides: [2], dilations: [2], ceil_mode: 1, pads: [1, 2] }),
    ],
    inputs: { x: [2, 3, 12] },
  },
  {
    what: 'MaxPool over three axes',
    distinct: true,
    nodes: [y('MaxPool', ['x'], { kernel_shape: [2, 2, 3], strides: [1, 2, 2] })],
    inputs: { x: [2, 2, 3, 4, 5] },
  },
  {
    what: 'AveragePool, rounded up and dilated',
    opset: 19,
    nodes: [
      y('AveragePool', ['x'], { kernel_shape: [2, 3], strides: [2, 2], dilations: [2, 1], ceil_mode: 1 }),
    ],
    inputs: { x: [2, 3, 7, 8] },
    linear: true,
  },
  {
    what: 'AveragePool over one axis, SAME_UPPER',
    nodes: [y('AveragePool', ['x'], { kernel_shape: [3], strides: [2], auto_pad: 'SAME_UPPER' })],
    inputs: { x: [2, 3, 8] },
    linear: true,
  },
  {
    what: 'MaxUnpool of MaxPool',
    distinct: true,
    nodes: [
      node('MaxPool', ['x'], ['z', 'i'], { kernel_shape: [2, 2], strides: [2, 2] }),
      node('Mul', ['z', 'z'], ['w']),
      y('MaxUnpool', ['w', 'i'], { kernel_shape: [2, 2], strides: [2, 2] }),
    ],
    inputs: { x: [2, 3, 4, 6] },
  },
]
