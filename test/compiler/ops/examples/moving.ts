import { floats } from '@espalier/server/compiler/graph/index.js'
import type { Net } from '../../../zoo/index.js'
import { CHANNELS, channelsLast, type Examples, map, SIZE, through } from './through.js'

const table = (n: Net, dims: readonly number[], values: readonly number[]) =>
  n.constant('t', { dtype: 'int64', dims, data: BigInt64Array.from(values, BigInt) })

export const moving: Examples = {
  Dropout: [map('Dropout')],
  Transpose: [map('Transpose', 17, { perm: [0, 1, 3, 2] })],
  Reshape: [
    through((n, h) => n.op('Reshape', [n.op('Reshape', [h, n.ints([0, 6, -1])]), n.ints([0, 0, 2, 8])])),
    through((n, h) => n.op('Reshape', [h, n.ints([-1, 3, 8, 4])]), { channels: 3, open: true }),
  ],
  Flatten: [through((n, h) => n.op('Unsqueeze', [n.op('Flatten', [h]), n.ints([2, 3])]), { channels: 96 })],
  Squeeze: [
    through(
      (n, h) =>
        n.op('Unsqueeze', [n.op('Squeeze', [n.op('GlobalMaxPool', [h])], { axes: [2, 3] })], {
          axes: [2, 3],
        }),
      {
        opset: 11,
      },
    ),
    through((n, h) =>
      n.op('Unsqueeze', [n.op('Squeeze', [n.op('GlobalMaxPool', [h]), n.ints([2, 3])]), n.ints([2, 3])]),
    ),
  ],
  Unsqueeze: [through((n, h) => n.op('Squeeze', [n.op('Unsqueeze', [h, n.ints([1])]), n.ints([1])]))],
  DepthToSpace: [
    through((n, h) => n.op('DepthToSpace', [n.conv(h, CHANNELS, 12), ''].slice(0, 1), { blocksize: 2 }), {
      channels: 3,
    }),
    through((n, h) => n.op('DepthToSpace', [n.conv(h, CHANNELS, 12)], { blocksize: 2, mode: 'CRD' }), {
      channels: 3,
    }),
  ],
  SpaceToDepth: [map('SpaceToDepth', 17, { blocksize: 2 })].map(() =>
    through((n, h) => n.op('SpaceToDepth', [h], { blocksize: 2 }), { channels: 24 }),
  ),
  Expand: [
    through((n, h) =>
      n.op('Mul', [h, n.op('Expand', [n.op('GlobalMaxPool', [h]), n.ints([1, CHANNELS, SIZE, SIZE])])]),
    ),
    through((n, h) =>
      n.op('Add', [h, n.op('Expand', [n.weight([1, 1, 1, 1]), n.ints([1, CHANNELS, SIZE, 1])])]),
    ),
  ],
  Concat: [through((n, h) => n.op('Concat', [h, n.op('Sigmoid', [h])], { axis: 1 }), { channels: 12 })],
  Split: [
    through((n, h) => n.op('Mul', n.ops('Split', [h, n.ints([3, 3])], 2, { axis: 1 })), { channels: 3 }),
    through((n, h) => n.op('Add', n.ops('Split', [h], 2, { axis: 1, split: [3, 3] })), {
      channels: 3,
      opset: 11,
    }),
    through((n, h) => n.ops('Split', [h], 2, { axis: 1, num_outputs: 2 })[1], { channels: 3, opset: 18 }),
  ],
  Slice: [
    through((n, h) => n.op('Slice', [h, n.ints([-5]), n.ints([2 ** 31]), n.ints([1])]), { channels: 5 }),
    through((n, h) => n.op('Slice', [h, n.ints([0]), n.ints([6]), n.ints([1]), n.ints([2])]), {
      channels: 3,
      open: false,
    }),
    through((n, h) => n.op('Slice', [h], { starts: [1], ends: [4], axes: [1] }), { channels: 3, opset: 9 }),
  ],
  Gather: [
    through((n, h) => n.op('Gather', [h, n.ints([4, 1, 1, 3])], { axis: 1 }), { channels: 4 }),
    through((n, h) =>
      n.op('Mul', [
        h,
        n.op('Unsqueeze', [
          n.op('Gather', [h, n.constant('k', { dtype: 'int64', dims: [], data: BigInt64Array.of(2n) })], {
            axis: 1,
          }),
          n.ints([1]),
        ]),
      ]),
    ),
  ],
  GatherElements: [
    through((n, h) => n.op('GatherElements', [h, n.op('ArgMax', [h], { axis: 2 })], { axis: 2 })),
    through((n, h) => n.op('GatherElements', [h, n.op('ArgMax', [h], { axis: 1 })], { axis: 1 }), {
      channels: 1,
      open: false,
    }),
  ],
  GatherND: [
    channelsLast((n, h) => {
      const cut = table(n, [2, 3, 1], [0, 1, 1, 3, 2, 0])
      return n.op('GatherND', [h, cut], { batch_dims: 1 })
    }),
  ],
  ScatterElements: [
    through((n, h) => {
      const top = n.ops('TopK', [h, n.ints([2])], 2, { axis: 3 })
      return n.op('ScatterElements', [h, top[1], n.op('Sigmoid', [top[0]])], { axis: 3 })
    }),
  ],
  Scatter: [
    through(
      (n, h) => {
        const top = n.ops('TopK', [h, n.ints([2])], 2, { axis: 3 })
        return n.op('Scatter', [h, top[1], n.op('Neg', [top[0]])], { axis: 3 })
      },
      { opset: 10 },
    ),
  ],
  ScatterND: [
    channelsLast((n, h) => n.op('ScatterND', [h, table(n, [1, 3], [1, 2, 0]), n.weight([1, CHANNELS])])),
    // A bias whose second half is set to zero, as Swin v2 is exported.
    channelsLast((n, h) => {
      const half = Array.from({ length: CHANNELS / 2 }, (_, i) => i + CHANNELS / 2)
      const zeros = n.op('Expand', [n.floats([1], [0]), n.ints([half.length])])
      const bias = n.op('ScatterND', [n.weight([CHANNELS]), table(n, [half.length, 1], half), zeros])
      return n.op('Add', [h, bias])
    }),
  ],
  TensorScatter: [
    through((n, h) => n.op('TensorScatter', [h, n.op('Slice', [h, n.ints([1]), n.ints([3]), n.ints([2])])]), {
      opset: 24,
    }),
  ],
  TopK: [
    through((n, h) => n.op('Mul', [h, n.ops('TopK', [h, n.ints([1])], 2, { axis: 3 })[0]])),
    through((n, h) => n.ops('TopK', [h, n.ints([3])], 2, { axis: 1 })[0], { channels: 3, open: false }),
    through((n, h) => n.ops('TopK', [h], 2, { axis: 3, k: 2 })[0], { opset: 9 }),
  ],
  Compress: [
    through((n, h) => {
      const some = n.op('Greater', [n.constant('v', floats([SIZE], [1, 0, 1, 0])), n.scalar(0.5)])
      return n.op('Compress', [h, some], { axis: 2 })
    }),
  ],
  OneHot: [
    through((n, h) => {
      const found = n.op('ArgMax', [h], { axis: 3, keepdims: 0 })
      return n.op('OneHot', [found, n.ints([SIZE]), n.constant('v', floats([2], [0.1, 2]))])
    }),
  ],
  MaxUnpool: [
    through(
      (n, h) => {
        const window = { kernel_shape: [2, 2], strides: [2, 2] }
        return n.op('MaxUnpool', n.ops('MaxPool', [h], 2, window), window)
      },
      { open: false },
    ),
  ],
  CenterCropPad: [
    through((n, h) => n.op('CenterCropPad', [h, n.ints([2, 6])], { axes: [2, 3] }), { opset: 18 }),
  ],
  Tile: [
    through((n, h) => n.op('Tile', [h, n.ints([1, 2, 1, 2])]), { channels: 12 }),
    through((n, h) => n.op('Mul', [h, n.op('Tile', [n.weight([1, 1, 1, 1]), n.ints([1, CHANNELS, 1, 1])])])),
  ],
  GridSample: [
    through((n, h) => n.op('GridSample', [h, n.op('Tile', [n.weight([1, 3, 5, 2]), n.ints([2, 1, 1, 1])])]), {
      opset: 16,
    }),
    through((n, h) => n.op('GridSample', [h, n.op('Reshape', [h, n.ints([0, 3, -1, 2])])]), {
      opset: 16,
      open: false,
    }),
  ],
  AffineGrid: [
    through(
      (n, h) => {
        const grid = n.op('AffineGrid', [n.weight([2, 2, 3]), n.ints([2, CHANNELS, 3, 5])])
        return n.op('GridSample', [h, grid])
      },
      { opset: 20 },
    ),
  ],
  RoiAlign: [
    through((n, h) => {
      const regions = n.constant('r', floats([3, 4], [0, 0, 2, 3, 1, 0, 3, 3, 0, 1, 2, 2]))
      return n.op('RoiAlign', [h, regions, n.ints([0, 1, 1])], { output_height: 2, output_width: 3 })
    }),
  ],
  MaxRoiPool: [
    through((n, h) => {
      const regions = n.constant('r', floats([2, 5], [0, 0, 0, 2, 3, 1, 1, 0, 3, 3]))
      return n.op('MaxRoiPool', [h, regions], { pooled_shape: [2, 2] })
    }),
  ],
  Shape: [
    // A size that is the same in every run is a number: the root stays that of all channels.
    through((n, h) => {
      const count = n.op('Cast', [n.op('Gather', [n.op('Shape', [h]), n.ints([1])])], { to: 1 })
      return n.op('Div', [h, n.op('Sqrt', [count])])
    }),
    // Counted together with the batch, it is not.
    through(
      (n, h) => {
        const counts = n.op('Slice', [n.op('Shape', [h]), n.ints([0]), n.ints([2])])
        const both = n.op('ReduceProd', [counts], { axes: [0], keepdims: 0 })
        return n.op('Div', [h, n.op('Cast', [both], { to: 1 })])
      },
      { open: false },
    ),
    through((n, h) => n.op('Reshape', [n.op('Flatten', [h]), n.op('Shape', [h])])),
  ],
  ConstantOfShape: [
    through(
      (n, h) => n.op('Concat', [h, n.op('ConstantOfShape', [n.ints([2, 3, SIZE, SIZE])])], { axis: 1 }),
      { channels: 9 },
    ),
    through((n, h) =>
      n.op('Add', [h, n.op('ConstantOfShape', [n.op('Shape', [h])], { value: floats([1], [2]) })]),
    ),
  ],
  Size: [through((n, h) => n.op('Mul', [h, n.op('Cast', [n.op('Size', [h])], { to: 1 })]), { open: false })],
  Range: [through((n, h) => n.op('Add', [h, n.op('Range', [n.scalar(0), n.scalar(SIZE), n.scalar(1)])]))],
  Pad: [
    through((n, h) => n.op('Pad', [h, n.ints([1, 2, 2, 0]), '', n.ints([1, -1])]), {
      channels: 9,
      opset: 18,
    }),
    through((n, h) => n.op('Pad', [h, n.ints([0, 2, 0, 0, 0, 1, 0, 1])]), { channels: 9 }),
    through((n, h) => n.op('Pad', [h], { pads: [0, 1, 0, 0, 0, 0, 0, 0] }), { channels: 7, opset: 9 }),
    through((n, h) => n.op('Pad', [h, n.ints([0, 1, 0, 0, 0, 1, 0, 0])], { mode: 'reflect' }), {
      channels: 8,
      open: false,
    }),
  ],
  Resize: [
    through((n, h) => n.op('Resize', [h, n.constant('r', floats([4], [1, 1, 2, 2]))]), { opset: 10 }),
    through((n, h) => n.op('Resize', [h, '', '', n.ints([CHANNELS, 8])], { axes: [1, 3] }), { opset: 18 }),
    through((n, h) => n.op('Resize', [h, '', n.constant('r', floats([4], [1, 1, 2, 2]))])),
    through((n, h) => n.op('Resize', [h, '', '', n.ints([2, CHANNELS, 8, 8])])),
  ],
  Upsample: [
    through((n, h) => n.op('Upsample', [h], { scales: { type: 'floats', value: [1, 1, 2, 2] } }), {
      opset: 7,
    }),
    through((n, h) => n.op('Upsample', [h, n.constant('r', floats([4], [1, 1, 2, 2]))]), { opset: 9 }),
  ],
}
