import { MICROSOFT } from '@espalier/server/compiler/ops/index.js'
import { CHANNELS, channelsLast, type Examples, SIZE, sequence, through } from './through.js'

export const linear: Examples = {
  Conv: [
    through(
      (n, h) => {
        const line = n.op('Reshape', [h, n.ints([0, 0, -1])])
        const y = n.op('Conv', [line, n.weight([5, CHANNELS, 3])], { dilations: [2], pads: [2, 2] })
        return n.op('Reshape', [y, n.ints([0, 0, SIZE, SIZE])])
      },
      { channels: 5 },
    ),
    through(
      (n, h) => {
        const cube = n.op('Reshape', [h, n.ints([0, 0, 2, 2, 4])])
        const y = n.op('Conv', [cube, n.weight([4, 3, 1, 2, 2]), n.weight([4])], {
          group: 2,
          strides: [1, 1, 2],
          auto_pad: 'SAME_LOWER',
        })
        return n.op('Reshape', [y, n.ints([0, 0, SIZE, -1])])
      },
      { channels: 4 },
    ),
    through((n, h) => n.conv(h, CHANNELS, CHANNELS, { group: CHANNELS })),
    through((n, h) => n.conv(h, CHANNELS, 12, { group: 2 }), { channels: 12 }),
  ],
  'com.microsoft.FusedConv': ['Relu', 'Sigmoid'].map((activation) =>
    through(
      (n, h) => {
        const added = n.conv(h, CHANNELS, 5, { k: 1 })
        const inputs = [h, n.weight([5, CHANNELS, 1, 1]), n.weight([5]), added]
        return n.op('FusedConv', inputs, { activation }, MICROSOFT)
      },
      { channels: 5 },
    ),
  ),
  DeformConv: [
    through(
      (n, h) =>
        n.op('DeformConv', [
          h,
          n.weight([5, CHANNELS, 1, 1]),
          n.op('Slice', [h, n.ints([0]), n.ints([2]), n.ints([1])]),
          n.weight([5]),
        ]),
      { channels: 5, opset: 19 },
    ),
  ],
  Einsum: [
    through((n, h) => n.op('Einsum', [h, n.weight([5, CHANNELS])], { equation: 'nchw, oc -> nohw' }), {
      channels: 5,
    }),
    through((n, h) => n.op('Einsum', [h, n.weight([CHANNELS, 5])], { equation: 'nc...,co->no...' }), {
      channels: 5,
    }),
    channelsLast((n, h) => n.op('Einsum', [h, n.weight([CHANNELS])], { equation: '...c,c->...c' })),
    through((n, h) => n.op('Mul', [h, n.op('Einsum', [h, h], { equation: 'nchw,ncij->nchw' })])),
    through(
      (n, h) =>
        n.op('Mul', [
          h,
          n.op('Unsqueeze', [n.op('Einsum', [h], { equation: 'nchw->n' }), n.ints([1, 2, 3])]),
        ]),
      { open: true },
    ),
    through(
      (n, h) =>
        n.op('Mul', [
          h,
          n.op('Unsqueeze', [n.op('Einsum', [n.op('Exp', [h])], { equation: 'nchw->hw' }), n.ints([0, 1])]),
        ]),
      { open: false },
    ),
    through((n, h) => {
      const rows = n.op('Reshape', [h, n.ints([0, 0, -1])])
      const sums = n.op('Einsum', [rows, n.weight([CHANNELS, 16])], { equation: 'nct,ct' })
      return n.op('Mul', [h, n.op('Unsqueeze', [sums, n.ints([1, 2, 3])])])
    }),
  ],
  ConvTranspose: [
    through((n, h) =>
      n.op('ConvTranspose', [h, n.weight([CHANNELS, 1, 2, 2]), n.weight([CHANNELS])], { group: CHANNELS }),
    ),
    through((n, h) => n.op('ConvTranspose', [h, n.weight([CHANNELS, 5, 2, 2]), n.weight([5])]), {
      channels: 5,
    }),
    through((n, h) => n.op('ConvTranspose', [h, n.weight([CHANNELS, 2, 2, 2])], { group: 3 })),
  ],
  MatMul: [
    through(
      (n, h) => {
        const rows = n.op('Transpose', [h], { perm: [0, 2, 3, 1] })
        return n.op('Transpose', [n.op('MatMul', [rows, n.weight([CHANNELS, 5])])], { perm: [0, 3, 1, 2] })
      },
      { channels: 5 },
    ),
    through((n, h) => n.op('MatMul', [h, n.op('Transpose', [h], { perm: [0, 1, 3, 2] })])),
  ],
  'com.microsoft.FusedMatMul': [
    sequence(
      (n, h) => n.op('FusedMatMul', [h, n.weight([5, CHANNELS])], { transB: 1, alpha: 0.5 }, MICROSOFT),
      { channels: 5 },
    ),
    through((n, h) => n.op('FusedMatMul', [h, h], { transA: 1 }, MICROSOFT)),
  ],
  'com.microsoft.FusedGemm': [
    through(
      (n, h) => {
        const x = n.op('Flatten', [n.op('GlobalMaxPool', [h])])
        const y = n.op(
          'FusedGemm',
          [x, n.weight([CHANNELS, 5]), n.weight([5])],
          { activation: 'Relu' },
          MICROSOFT,
        )
        return n.op('Unsqueeze', [y, n.ints([2, 3])])
      },
      { channels: 5 },
    ),
  ],
  Gemm: [
    through(
      (n, h) => {
        const y = n.dense(n.op('Flatten', [h]), CHANNELS * SIZE * SIZE, 5)
        return n.op('Unsqueeze', [y, n.ints([2, 3])])
      },
      { channels: 5 },
    ),
  ],
}
