import { MICROSOFT } from '@espalier/server/compiler/ops/index.js'
import type { Net } from '../../../zoo/index.js'
import { CHANNELS, channelsLast, compared, type Examples, logic, map, through, withOther } from './through.js'

/** Through integers of type `to`, with what else the operator reads. */
const integers = (op: string, to: number, others: (n: Net) => string[] = () => [], attributes = {}) =>
  through(
    (n, h) => {
      const whole = n.op('Cast', [n.op('Mul', [h, n.scalar(9)])], { to })
      return n.op('Cast', [n.op(op, [whole, ...others(n)], attributes)], { to: 1 })
    },
    { opset: 18 },
  )
const asInt = (n: Net, to: number) => n.op('Cast', [n.weight([CHANNELS, 1, 1], { around: 3 })], { to })

export const pointwise: Examples = {
  ...Object.fromEntries(
    [
      ...[
        'Abs',
        'Celu',
        'Ceil',
        'Elu',
        'Erf',
        'Floor',
        'HardSwish',
        'LeakyRelu',
        'Neg',
        'Relu',
        'Round',
        'Selu',
      ],
      ...['Shrink', 'Sign', 'Sin', 'Softsign', 'Sqrt', 'Tan', 'Tanh', 'ThresholdedRelu'],
      ...['Cos', 'Exp', 'Sigmoid', 'Softplus', 'HardSigmoid', 'Identity'],
    ].map((op) => [op, [map(op)]]),
  ),
  ...Object.fromEntries(
    ['Acos', 'Asin', 'Asinh', 'Atan', 'Atanh', 'Cosh', 'Sinh'].map((op) => [
      op,
      [through((n, h) => n.op(op, [n.op('Mul', [n.op('Tanh', [h]), n.scalar(0.9)])]))],
    ]),
  ),
  Acosh: [
    through((n, h) => n.op('Acosh', [n.op('Add', [h, n.scalar(1)])])),
    through((n, h) => n.op('Acosh', [n.op('Add', [h, n.weight([CHANNELS, 1, 1], { around: 20 })])]), {
      open: false,
    }),
  ],
  IsInf: [
    through((n, h) => {
      const large = n.op('Exp', [n.op('Exp', [n.op('Mul', [h, n.scalar(9)])])])
      return n.op('Add', [h, n.op('Cast', [n.op('IsInf', [large])], { to: 1 })])
    }),
  ],
  IsNaN: [
    through((n, h) => {
      const root = n.op('Sqrt', [n.op('Sub', [h, n.scalar(0.5)])])
      return n.op('Add', [h, n.op('Cast', [n.op('IsNaN', [root])], { to: 1 })])
    }),
  ],
  BitwiseNot: [integers('BitwiseNot', 6)],
  ...Object.fromEntries(
    ['BitwiseAnd', 'BitwiseOr', 'BitwiseXor'].map((op) => [op, [integers(op, 6, (n) => [asInt(n, 6)])]]),
  ),
  BitShift: [integers('BitShift', 12, (n) => [asInt(n, 12)], { direction: 'LEFT' })],
  Mod: [through((n, h) => n.op('Mod', [h, n.weight([CHANNELS, 1, 1], { around: 0.3 })], { fmod: 1 }))],
  Gelu: [map('Gelu', 20)],
  'com.microsoft.Gelu': [map('Gelu', 17, {}, true, MICROSOFT)],
  'com.microsoft.QuickGelu': [map('QuickGelu', 17, { alpha: 1.5 }, true, MICROSOFT)],
  ...Object.fromEntries(
    ['BiasGelu', 'FastGelu'].map((op) => [
      `${MICROSOFT}.${op}`,
      [channelsLast((n, h) => n.op(op, [h, n.weight([CHANNELS])], {}, MICROSOFT))],
    ]),
  ),
  Mish: [map('Mish', 18)],
  Swish: [map('Swish', 24)],
  Clip: [through((n, h) => n.op('Clip', [h, n.scalar(0.1), n.scalar(2)]))],
  Log: [through((n, h) => n.op('Log', [n.op('Add', [h, n.scalar(1)])]))],
  Reciprocal: [
    through((n, h) => n.op('Reciprocal', [n.op('Add', [h, n.scalar(1)])])),
    through(
      (n, h) =>
        n.op('Reciprocal', [n.op('Mul', [n.op('Sigmoid', [h]), n.weight([CHANNELS, 1, 1], { around: 2 })])]),
      { open: false },
    ),
  ],
  Not: [
    logic('And'),
    through((n, h) => n.op('Cast', [n.op('Not', [n.op('Greater', [h, n.scalar(1)])])], { to: 1 })),
  ],
  ...Object.fromEntries(
    ['Add', 'Sub', 'Min', 'Max', 'Sum', 'Mean', 'Mul', 'Div', 'Pow'].map((op) => [op, [withOther(op)]]),
  ),
  ...Object.fromEntries(
    ['Equal', 'Greater', 'GreaterOrEqual', 'Less', 'LessOrEqual'].map((op) => [op, [compared(op)]]),
  ),
  ...Object.fromEntries(['And', 'Or', 'Xor'].map((op) => [op, [logic(op)]])),
  Where: [
    through((n, h) => n.op('Where', [n.op('Greater', [h, n.scalar(0.5)]), h, n.weight([CHANNELS, 1, 1])])),
  ],
  PRelu: [through((n, h) => n.op('PRelu', [n.op('Sub', [h, n.scalar(0.5)]), n.weight([CHANNELS, 1, 1])]))],
  Cast: [map('Cast', 17, { to: 11 })].map(() =>
    through((n, h) => n.op('Cast', [n.op('Cast', [h], { to: 11 })], { to: 1 })),
  ),
  CastLike: [through((n, h) => n.op('CastLike', [h, n.weight([1])]))],
}
