import type { node } from '@espalier/server/compiler/graph/index.js'
import { type Case, type Dims, y } from './check.js'

const conv = (
  what: string,
  x: Dims,
  w: Dims,
  attributes: Parameters<typeof node>[3] = {},
  lowered = false,
): Case => ({
  what: `Conv ${what}${lowered ? ' as a matrix product' : ''}`,
  nodes: [y('Conv', ['x', 'w', 'b'], attributes)],
  inputs: { x, w, b: [w[0]] },
  linear: true,
  lowered,
})

const blocked = (what: string, x: Dims, w: Dims, attributes: Parameters<typeof node>[3] = {}): Case => ({
  ...conv(`${what}, in blocks`, x, w, attributes),
  blocks: true,
})

const transposed = (what: string, x: Dims, w: Dims, attributes: Parameters<typeof node>[3] = {}): Case => ({
  what: `ConvTranspose ${what}`,
  nodes: [y('ConvTranspose', ['x', 'w', 'b'], attributes)],
  inputs: { x, w, b: [w[1] * (typeof attributes.group === 'number' ? attributes.group : 1)] },
  linear: true,
})

export const convolutions: readonly Case[] = [
  conv('1×1', [3, 5, 4, 7], [6, 5, 1, 1]),
  conv('1×1 with many channels on a small map', [2, 20, 2, 2], [24, 20, 1, 1]),
  conv('1×1 on a single place', [3, 5, 1, 1], [6, 5, 1, 1]),
  conv('1×1 on a single place', [3, 5, 1, 1], [6, 5, 1, 1], {}, true),
  conv('1×1 of stride 2, which skips the last row', [2, 3, 6, 7], [4, 3, 1, 1], { strides: [2, 2] }),
  conv('3×3 padded', [2, 3, 5, 6], [4, 3, 3, 3], { pads: [1, 1, 1, 1] }),
  conv('3×2 with uneven pads', [2, 3, 5, 6], [4, 3, 3, 2], { pads: [0, 1, 2, 0] }),
  conv('3×3 of stride 2 on an even map', [2, 3, 6, 8], [4, 3, 3, 3], { pads: [1, 1, 1, 1], strides: [2, 2] }),
  conv('5×3 of stride 3×2 on an odd map', [1, 2, 11, 9], [3, 2, 5, 3], {
    pads: [2, 0, 1, 1],
    strides: [3, 2],
  }),
  conv('3×3 dilated', [2, 2, 7, 8], [3, 2, 3, 3], { pads: [2, 1, 2, 1], dilations: [2, 1] }),
  conv('SAME_UPPER of stride 2', [2, 3, 7, 6], [4, 3, 3, 3], { auto_pad: 'SAME_UPPER', strides: [2, 2] }),
  conv('in 2 groups', [2, 4, 5, 5], [6, 2, 3, 3], { group: 2, pads: [1, 1, 1, 1] }),
  conv('in 3 groups of stride 2', [2, 6, 6, 5], [3, 2, 3, 3], {
    group: 3,
    pads: [1, 0, 1, 0],
    strides: [2, 2],
  }),
  conv('padded by more than the kernel', [1, 2, 3, 3], [2, 2, 2, 2], { pads: [2, 2, 2, 2] }),
  conv('over one axis', [2, 3, 9], [4, 3, 3], { pads: [1, 1], strides: [2] }),
  ...[false, true].flatMap((lowered) => [
    conv('depthwise 3×3', [2, 5, 4, 6], [5, 1, 3, 3], { group: 5, pads: [1, 1, 1, 1] }, lowered),
    conv(
      'depthwise 3×3 of stride 2',
      [2, 4, 7, 6],
      [4, 1, 3, 3],
      { group: 4, pads: [1, 1, 1, 1], strides: [2, 2] },
      lowered,
    ),
    conv(
      'depthwise 5×5 of stride 2 with uneven pads',
      [3, 2, 8, 7],
      [2, 1, 5, 5],
      { group: 2, pads: [1, 2, 2, 1], strides: [2, 2] },
      lowered,
    ),
    conv(
      'depthwise dilated',
      [2, 3, 7, 7],
      [3, 1, 3, 3],
      { group: 3, pads: [2, 2, 2, 2], dilations: [2, 2] },
      lowered,
    ),
  ]),

  blocked('3×3', [2, 16, 5, 6], [32, 16, 3, 3], { pads: [1, 1, 1, 1] }),
  blocked('3×3 of counts between', [2, 24, 7, 6], [12, 24, 3, 3], { pads: [1, 0, 2, 1], strides: [2, 1] }),
  blocked('2×3 of few inputs', [2, 3, 6, 7], [16, 3, 2, 3], { pads: [0, 1, 1, 1], dilations: [2, 1] }),
  blocked('depthwise', [2, 16, 5, 6], [16, 1, 3, 3], { group: 16, pads: [1, 1, 1, 1] }),
  blocked('depthwise of stride 2', [3, 12, 8, 7], [12, 1, 3, 5], {
    group: 12,
    pads: [1, 2, 0, 2],
    strides: [2, 2],
  }),
  blocked('depthwise dilated', [2, 20, 7, 7], [20, 1, 3, 3], {
    group: 20,
    pads: [2, 2, 2, 2],
    dilations: [2, 2],
  }),
  blocked('depthwise of odd counts', [3, 5, 6, 5], [5, 1, 3, 3], { group: 5, pads: [1, 1, 1, 1] }),
  conv('5×5 of few channels, strided and dilated', [2, 2, 13, 12], [3, 2, 5, 5], {
    pads: [1, 2, 2, 0],
    strides: [2, 1],
    dilations: [1, 2],
  }),
  conv('3×3 of many channels', [2, 9, 6, 5], [4, 9, 3, 3], { pads: [1, 1, 1, 1], strides: [1, 2] }),
  conv('depthwise, rows skipped', [2, 3, 7, 6], [3, 1, 3, 2], {
    group: 3,
    pads: [1, 0, 0, 1],
    strides: [2, 1],
  }),
  conv('depthwise on wide maps', [1, 2, 3, 40], [2, 1, 3, 3], { group: 2, pads: [1, 1, 1, 1] }),
  conv('over three axes', [2, 2, 4, 3, 5], [3, 2, 2, 3, 2], { pads: [1, 0, 0, 0, 1, 1], strides: [2, 1, 2] }),
  conv('over one axis, dilated, in 2 groups', [2, 4, 11], [6, 2, 3], { dilations: [3], group: 2 }),
  conv('depthwise over one axis', [2, 3, 9], [3, 1, 4], { group: 3, pads: [3, 0] }),
  conv('depthwise that makes two of each channel', [2, 3, 5, 4], [6, 1, 3, 3], {
    group: 3,
    pads: [1, 1, 1, 1],
  }),
  transposed('2×2 of stride 2', [2, 3, 3, 4], [3, 5, 2, 2], { strides: [2, 2] }),
  transposed('3×3 with pads and output padding', [2, 3, 4, 3], [3, 2, 3, 3], {
    strides: [2, 3],
    pads: [1, 0, 1, 1],
    output_padding: [1, 2],
  }),
  transposed('in 2 groups, dilated', [2, 4, 3, 3], [4, 3, 3, 2], { group: 2, dilations: [2, 1] }),
  transposed('depthwise', [2, 3, 4, 4], [3, 1, 4, 4], { group: 3, strides: [2, 2], pads: [1, 1, 1, 1] }),
  transposed('over one axis', [2, 3, 5], [3, 2, 4], { strides: [3] }),
  transposed('SAME_UPPER', [2, 3, 4, 5], [3, 2, 3, 3], { strides: [2, 2], auto_pad: 'SAME_UPPER' }),
  transposed('SAME_LOWER', [2, 3, 4, 5], [3, 2, 3, 3], { strides: [2, 2], auto_pad: 'SAME_LOWER' }),
  transposed('of a wanted shape', [2, 3, 4, 5], [3, 2, 3, 3], { strides: [2, 2], output_shape: [8, 10] }),
]
