import { floatAttribute, numbersOf } from '../graph/index.js'
import { defineOp, type FlowContext, MICROSOFT, noMacs, withZero } from './define.js'
import { broadcast, elementwise } from './elementwise.js'

/** A function of each element by itself. `keepsZero`: f(0) = 0. */
const map = (op: string, keepsZero: boolean | ((f: FlowContext) => boolean), domain = '') =>
  defineOp({
    op,
    domain,
    flow(f) {
      const keeps = typeof keepsZero === 'boolean' ? keepsZero : keepsZero(f)
      return [
        elementwise(
          f,
          f.axes(0).map((a) => withZero(a, a.zero && keeps)),
        ),
      ]
    },
    macs: noMacs,
  })

/** Functions of each element by itself with f(0) = 0. */
export const keepingZero = [
  'Abs',
  'Asin',
  'Asinh',
  'Atan',
  'Atanh',
  'Celu',
  'Ceil',
  'Elu',
  'Erf',
  'Floor',
  'Gelu',
  'HardSwish',
  'IsInf',
  'IsNaN',
  'LeakyRelu',
  'Mish',
  'Neg',
  'Relu',
  'Round',
  'Selu',
  'Shrink',
  'Sign',
  'Sin',
  'Sinh',
  'Softsign',
  'Sqrt',
  'Swish',
  'Tan',
  'Tanh',
  'ThresholdedRelu',
]

export const zeroAtZero = [
  ...keepingZero.map((op) => map(op, true)),
  ...['Gelu', 'QuickGelu'].map((op) => map(op, true, MICROSOFT)),
]

export const elsewhereAtZero = ['Acos', 'BitwiseNot', 'Cos', 'Cosh', 'Exp', 'Not', 'Sigmoid', 'Softplus'].map(
  (op) => map(op, false),
)

/** Whether an activation that a fused operator names keeps zero at zero, whatever its parameters. */
export const keepsZero = (activation: string): boolean =>
  activation === '' || keepingZero.includes(activation)

/** Of x + bias, where a bias is given. */
export const biasedActivations = ['BiasGelu', 'FastGelu'].map((op) =>
  defineOp({
    op,
    domain: MICROSOFT,
    flow: (f) => [{ axes: f.inputs[1] ? broadcast(f, [f.axes(0), f.axes(1)], 'all') : f.axes(0) }],
    macs: noMacs,
  }),
)

/** max(0, min(1, αx + β)): zero at zero only if β ≤ 0. */
export const hardSigmoid = map('HardSigmoid', (f) => floatAttribute(f.node, 'beta', 0.5) <= 0)

/** Zero at zero if the bounds, attributes before opset 11 and inputs since, are constants around it. */
export const clip = map('Clip', (f) => {
  const bound = (i: number, key: string, otherwise: number) => {
    if (!f.node.inputs[i]) return floatAttribute(f.node, key, otherwise)
    const constant = f.constant(i)
    return constant ? numbersOf(constant)[0] : Number.NaN
  }
  return bound(1, 'min', Number.NEGATIVE_INFINITY) <= 0 && bound(2, 'max', Number.POSITIVE_INFINITY) >= 0
})

/** 1/0, log 0 and arcosh 0 are not finite: where an input would be exactly zero it is left whole. */
export const notAtZero = ['Acosh', 'Log', 'Reciprocal'].map((op) =>
  defineOp({
    op,
    flow(f) {
      const axes = f.axes(0)
      f.freeze(
        axes.filter((a) => a.zero),
        `${op} of zero is not finite`,
      )
      return [
        elementwise(
          f,
          axes.map((a) => withZero(a, false)),
        ),
      ]
    },
    macs: noMacs,
  }),
)
