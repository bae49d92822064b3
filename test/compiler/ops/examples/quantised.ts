import { tensor } from '@espalier/server/compiler/graph/index.js'
import { MICROSOFT } from '@espalier/server/compiler/ops/index.js'
import type { Net } from '../../../zoo/index.js'
import { CHANNELS, type Example, type Examples, through, withChannelsAfter } from './through.js'

type Int = 'int8' | 'uint8' | 'int32'
const arrays = { int8: Int8Array, uint8: Uint8Array, int32: Int32Array }

/** Weights around a zero point, as integers. */
function whole(
  n: Net,
  dims: readonly number[],
  { dtype = 'int8' as Int, around = 0, spread = 90 } = {},
): string {
  const count = dims.reduce((p, d) => p * d, 1)
  const values = Array.from({ length: count }, (_, i) => around + Math.round(spread * Math.sin(1 + 7.3 * i)))
  return n.constant('q', tensor(dtype, dims, arrays[dtype].from(values)))
}

const point = (n: Net, value: number, dtype: Int = 'uint8') =>
  n.constant('z', tensor(dtype, [], arrays[dtype].of(value)))

const scales = (n: Net, channels: number) => n.weight([channels], { around: 0.01 })

/** x to 8 bits, and back again. */
const quantise = (n: Net, x: string, zero = 3) => n.op('QuantizeLinear', [x, n.scalar(0.02), point(n, zero)])
const pair = (n: Net, x: string, zero = 3) =>
  n.op('DequantizeLinear', [quantise(n, x, zero), n.scalar(0.02), point(n, zero)])

/** Dequantised weights [to, from, 1, 1], one scale a channel. */
function weights(n: Net, to: number, from: number, { dtype = 'int8' as Int, zeros = [0] } = {}): string {
  const all = Array.from({ length: to }, (_, i) => zeros[i % zeros.length])
  const points = n.constant('z', tensor(dtype, [to], arrays[dtype].from(all)))
  const w = whole(n, [to, from, 1, 1], { dtype, around: zeros[0] })
  return n.op('DequantizeLinear', [w, scales(n, to), points], { axis: 0 })
}

const bias = (n: Net, channels: number) =>
  n.op('DequantizeLinear', [whole(n, [channels], { dtype: 'int32', spread: 900 }), scales(n, channels)], {
    axis: 0,
  })

const convolved = (of: Parameters<typeof weights>[3] = {}): Example => ({
  ...through(
    (n, h) => pair(n, n.op('Relu', [n.op('Conv', [pair(n, h), weights(n, 5, CHANNELS, of), bias(n, 5)])])),
    {
      channels: 5,
    },
  ),
  groups: withChannelsAfter([5, CHANNELS]),
})

/** On 8 bits, with its result's scale and zero point. */
const on8 = (
  rule: (n: Net, q: string, own: readonly string[]) => string,
  { channels = CHANNELS, zero = 3 } = {},
): Example => ({
  ...through(
    (n, h) => {
      const own = () => [n.scalar(0.02), point(n, zero)]
      return n.op('DequantizeLinear', [rule(n, quantise(n, h, zero), own()), ...own()])
    },
    { channels },
  ),
  groups: withChannelsAfter(channels === CHANNELS ? [CHANNELS] : [CHANNELS, channels].sort()),
})

const scaled = (n: Net, zero = 3) => [n.scalar(0.02), point(n, zero)]

/** On 16 bits, by onnxruntime's own operators. */
const wide = through((n, h) => {
  const by = () => [n.scalar(0.0001), n.constant('z', tensor('uint16', [], Uint16Array.of(9)))]
  const q = n.op('QuantizeLinear', [h, ...by()], {}, MICROSOFT)
  const back = n.op('DequantizeLinear', [q, ...by()], {}, MICROSOFT)
  return n.op('Mul', [back, n.op('ReduceSum', [back, n.ints([1])])])
})

export const quantised: Examples = {
  'com.microsoft.QuantizeLinear': [wide],
  'com.microsoft.DequantizeLinear': [wide],
  QuantizeLinear: [
    through((n, h) => pair(n, h)),
    through((n, h) => n.op('Mul', [pair(n, h), n.op('ReduceSum', [pair(n, h), n.ints([1])])])),
    through(
      (n, h) => {
        const other = n.op('DequantizeLinear', [quantise(n, h), n.scalar(0.02), point(n, 9)])
        return n.op('Mul', [h, n.op('ReduceSum', [other, n.ints([1])])])
      },
      { open: false },
    ),
    through((n, h) => {
      const points = n.constant('z', tensor('uint8', [CHANNELS], Uint8Array.of(1, 2, 3, 4, 5, 6)))
      const by = [scales(n, CHANNELS), points]
      return n.op('DequantizeLinear', [n.op('QuantizeLinear', [h, ...by]), ...by])
    }),
  ],
  DequantizeLinear: [
    convolved(),
    convolved({ dtype: 'uint8', zeros: [128] }),
    convolved({ dtype: 'uint8', zeros: [128, 120, 131] }),
    through(
      (n, h) => {
        const w = whole(n, [CHANNELS, CHANNELS, 1, 1])
        return n.op('Conv', [
          h,
          n.op('DequantizeLinear', [w, n.weight([2, CHANNELS, 1, 1], { around: 0.01 })], {
            axis: 0,
            block_size: 3,
          }),
        ])
      },
      { opset: 21, open: false },
    ),
  ],
  DynamicQuantizeLinear: [
    through((n, h) => {
      const [q, scale, zero] = n.ops('DynamicQuantizeLinear', [h], 3)
      return n.op('DequantizeLinear', [q, scale, zero])
    }),
    through(
      (n, h) => {
        const [q, scale, zero] = n.ops('DynamicQuantizeLinear', [n.op('Exp', [h])], 3)
        return n.op('DequantizeLinear', [q, scale, zero])
      },
      { open: false },
    ),
  ],
  ConvInteger: [
    through(
      (n, h) => {
        const [q, scale, zero] = n.ops('DynamicQuantizeLinear', [h], 3)
        const w = whole(n, [5, CHANNELS, 1, 1])
        const sum = n.op('ConvInteger', [q, w, zero, point(n, 0, 'int8')])
        return n.op('Mul', [n.op('Mul', [n.op('Cast', [sum], { to: 1 }), scale]), n.scalar(0.01)])
      },
      { channels: 5 },
    ),
  ],
  MatMulInteger: [
    through(
      (n, h) => {
        const rows = n.op('Transpose', [h], { perm: [0, 2, 3, 1] })
        const [q, , zero] = n.ops('DynamicQuantizeLinear', [rows], 3)
        const w = whole(n, [CHANNELS, 5], { dtype: 'uint8', around: 127 })
        const sum = n.op('MatMulInteger', [q, w, zero, point(n, 127)])
        const y = n.op('Mul', [n.op('Cast', [sum], { to: 1 }), n.scalar(0.0002)])
        return n.op('Transpose', [y], { perm: [0, 3, 1, 2] })
      },
      { channels: 5 },
    ),
  ],
  QLinearConv: [
    on8(
      (n, q, own) => {
        const w = [
          whole(n, [5, CHANNELS, 1, 1]),
          scales(n, 5),
          n.constant('z', tensor('int8', [5], new Int8Array(5))),
        ]
        const b = whole(n, [5], { dtype: 'int32', spread: 900 })
        return n.op('QLinearConv', [q, ...scaled(n), ...w, ...own, b])
      },
      { channels: 5 },
    ),
  ],
  QLinearMatMul: [
    on8(
      (n, q, own) => {
        const rows = n.op('Transpose', [q], { perm: [0, 2, 3, 1] })
        const w = [whole(n, [CHANNELS, 5], { dtype: 'uint8', around: 120 }), n.scalar(0.01), point(n, 120)]
        return n.op('Transpose', [n.op('QLinearMatMul', [rows, ...scaled(n), ...w, ...own])], {
          perm: [0, 3, 1, 2],
        })
      },
      { channels: 5 },
    ),
  ],
  'com.microsoft.QGemm': [
    on8(
      (n, q, own) => {
        const x = n.op('Flatten', [n.op('MaxPool', [q], { kernel_shape: [4, 4] })])
        const w = [whole(n, [5, CHANNELS]), n.scalar(0.01), point(n, 0, 'int8')]
        const b = whole(n, [5], { dtype: 'int32', spread: 900 })
        const y = n.op('QGemm', [x, ...scaled(n), ...w, b, ...own], { transB: 1 }, MICROSOFT)
        return n.op('Unsqueeze', [y, n.ints([2, 3])])
      },
      { channels: 5 },
    ),
  ],
  ...Object.fromEntries(
    ['QLinearAdd', 'QLinearMul'].map((op) => [
      `${MICROSOFT}.${op}`,
      [
        on8((n, q, own) => {
          const other = whole(n, [CHANNELS, 1, 1], { dtype: 'uint8', around: 100 })
          return n.op(op, [q, ...scaled(n), other, n.scalar(0.01), point(n, 100), ...own], {}, MICROSOFT)
        }),
      ],
    ]),
  ),
  ...Object.fromEntries(
    (
      [
        ['QLinearAveragePool', { kernel_shape: [2, 2] }],
        ['QLinearGlobalAveragePool', {}],
        ['QLinearLeakyRelu', {}],
        ['QLinearSigmoid', {}],
      ] as const
    ).map(([op, attributes]) => [
      `${MICROSOFT}.${op}`,
      [on8((n, q, own) => n.op(op, [q, ...scaled(n), ...own], attributes, MICROSOFT))],
    ]),
  ),
  'com.microsoft.QLinearConcat': [
    {
      ...on8(
        (n, q, own) =>
          n.op('QLinearConcat', [...own, q, ...scaled(n), q, ...scaled(n)], { axis: 1 }, MICROSOFT),
        {
          channels: 12,
        },
      ),
      groups: withChannelsAfter([CHANNELS]),
    },
  ],
}
