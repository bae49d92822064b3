import { floatAttribute, numbersOf } from '../graph/index.js'
import { defineOp, type FlowContext, noMacs } from './define.js'

/** A function of each element by itself. `keepsZero`: f(0) = 0. */
const map = (op: string, keepsZero: boolean | ((f: FlowContext) => boolean)) =>
  defineOp({
    op,
    flow(f) {
      const keeps = typeof keepsZero === 'boolean' ? keepsZero : keepsZero(f)
      return [{ axes: f.axes(0).map((a) => ({ atoms: a.atoms, zero: a.zero && keeps })) }]
    },
    macs: noMacs,
  })

export const zeroAtZero = [
  'Abs',
  'Celu',
  'Ceil',
  'Elu',
  'Erf',
  'Floor',
  'Gelu',
  'HardSwish',
  'LeakyRelu',
  'Mish',
  'Neg',
  'Relu',
  'Round',
  'Selu',
  'Shrink',
  'Sign',
  'Sin',
  'Softsign',
  'Sqrt',
  'Swish',
  'Tan',
  'Tanh',
  'ThresholdedRelu',
].map((op) => map(op, true))

export const elsewhereAtZero = ['Cos', 'Exp', 'Not', 'Sigmoid', 'Softplus'].map((op) => map(op, false))

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

/** 1/0 and log 0 are not finite: where an input would be exactly zero it is left whole. */
export const notAtZero = ['Log', 'Reciprocal'].map((op) =>
  defineOp({
    op,
    flow(f) {
      for (const a of f.axes(0)) if (a.zero) f.freeze(a, `${op} of zero is not finite`)
      return [{ axes: f.axes(0).map((a) => ({ atoms: a.atoms, zero: false })) }]
    },
    macs: noMacs,
  }),
)
