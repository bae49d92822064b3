import { floats, int64s, node } from '@espalier/server/compiler/graph/index.js'
import { type Case, y } from './check.js'

export const moving: readonly Case[] = [
  { what: 'Flatten', nodes: [y('Flatten', ['x'])], inputs: { x: [2, 3, 4] }, linear: true },
  {
    what: 'Reshape',
    nodes: [y('Reshape', ['x', 'to'])],
    inputs: { x: [2, 3, 4] },
    constants: { to: int64s([4, -1]) },
    linear: true,
  },
  {
    what: 'Transpose',
    nodes: [y('Transpose', ['x'], { perm: [2, 0, 1] })],
    inputs: { x: [2, 3, 4] },
    linear: true,
  },
  { what: 'Transpose, reversed', nodes: [y('Transpose', ['x'])], inputs: { x: [2, 3, 4] }, linear: true },
  {
    what: 'Squeeze',
    nodes: [y('Squeeze', ['x', 'axes'])],
    inputs: { x: [2, 1, 4, 1] },
    constants: { axes: int64s([1, 3]) },
    linear: true,
  },
  {
    what: 'Unsqueeze',
    nodes: [y('Unsqueeze', ['x', 'axes'])],
    inputs: { x: [2, 4] },
    constants: { axes: int64s([1]) },
    linear: true,
  },
  {
    what: 'Concat, one input used twice',
    nodes: [y('Concat', ['a', 'b', 'a'], { axis: -2 })],
    inputs: { a: [2, 3, 4], b: [2, 2, 4] },
  },
  {
    what: 'Pad',
    nodes: [y('Pad', ['x', 'pads', 'value'])],
    inputs: { x: [2, 3, 4] },
    constants: { pads: int64s([0, 1, 2, 1, 0, 1]), value: floats([], [0]) },
    linear: true,
  },
  {
    what: 'Slice with steps and negative bounds',
    nodes: [y('Slice', ['x', 'starts', 'ends', 'axes', 'steps'])],
    inputs: { x: [2, 7, 8] },
    constants: {
      starts: int64s([-6, 1]),
      ends: int64s([1000, 8]),
      axes: int64s([1, 2]),
      steps: int64s([2, 3]),
    },
    linear: true,
  },
  {
    what: 'Split, one part unused',
    nodes: [node('Split', ['x', 'parts'], ['p', 'q', 'r'], { axis: 1 }), y('Mul', ['p', 'r'])],
    inputs: { x: [2, 7] },
    constants: { parts: int64s([2, 3, 2]) },
  },
  {
    what: 'Expand',
    nodes: [y('Expand', ['x', 'to'])],
    inputs: { x: [3, 1] },
    constants: { to: int64s([2, 3, 4]) },
    linear: true,
  },

  {
    what: 'Slice backwards',
    nodes: [y('Slice', ['x', 'starts', 'ends', 'axes', 'steps'])],
    inputs: { x: [2, 7, 8] },
    constants: {
      starts: int64s([-2, 100]),
      ends: int64s([-100, 1]),
      axes: int64s([1, 2]),
      steps: int64s([-2, -3]),
    },
    linear: true,
  },
  {
    what: 'Tile',
    nodes: [y('Tile', ['x', 'repeats'])],
    inputs: { x: [2, 1, 3] },
    constants: { repeats: int64s([2, 4, 3]) },
    linear: true,
  },
  ...['DCR', 'CRD'].map(
    (mode): Case => ({
      what: `DepthToSpace ${mode}`,
      nodes: [y('DepthToSpace', ['x'], { blocksize: 2, mode })],
      inputs: { x: [2, 12, 2, 3] },
      linear: true,
    }),
  ),
  {
    what: 'SpaceToDepth',
    nodes: [y('SpaceToDepth', ['x'], { blocksize: 2 })],
    inputs: { x: [2, 3, 4, 6] },
    linear: true,
  },
  {
    what: 'Trilu',
    nodes: [y('Trilu', ['x', 'k'], { upper: 0 })],
    inputs: { x: [2, 4, 5] },
    constants: { k: { dtype: 'int64', dims: [], data: BigInt64Array.of(1n) } },
    linear: true,
  },
  {
    what: 'ReverseSequence',
    nodes: [y('ReverseSequence', ['x', 'lengths'], { time_axis: 0, batch_axis: 1 })],
    inputs: { x: [4, 3, 2] },
    constants: { lengths: int64s([2, 4, 1]) },
    linear: true,
  },
  ...(
    [
      ['nearest', 'asymmetric', [1, 1, 2, 3]],
      ['nearest', 'half_pixel', [1, 1, 1.7, 0.6]],
      ['linear', 'half_pixel', [1, 1, 2, 2]],
      ['linear', 'align_corners', [1, 1, 0.5, 1.6]],
      ['linear', 'pytorch_half_pixel', [1, 1, 1, 2]],
      ['cubic', 'half_pixel', [1, 1, 1.5, 2]],
    ] as const
  ).map(
    ([mode, how, scales]): Case => ({
      what: `Resize ${mode} by ${scales.slice(2)}, ${how}`,
      nodes: [y('Resize', ['x', '', 'scales'], { mode, coordinate_transformation_mode: how })],
      inputs: { x: [2, 3, 4, 5] },
      constants: { scales: floats([4], scales) },
      linear: true,
    }),
  ),
  {
    what: 'Resize to sizes, over one axis',
    nodes: [y('Resize', ['x', '', '', 'sizes'], { mode: 'linear' })],
    inputs: { x: [2, 3, 5] },
    constants: { sizes: int64s([2, 3, 8]) },
    linear: true,
  },
  {
    what: 'Resize of some axes, smoothed',
    nodes: [y('Resize', ['x', '', '', 'sizes'], { mode: 'linear', antialias: 1, axes: [2, 3] })],
    inputs: { x: [2, 3, 8, 6] },
    constants: { sizes: int64s([3, 5]) },
    linear: true,
  },
]
