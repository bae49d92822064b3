import { numbersOf } from '../graph/index.js'
import {
  type Axis,
  defineOp,
  type FlowContext,
  type Flowing,
  noMacs,
  type Origin,
  one,
  withZero,
} from './define.js'
import { levelsOf } from './level.js'

/**
 * Broadcasts operands as numpy does and joins the dimensions they share. `zero` says when an index of the result
 * is exactly zero: with `all` operands zero there (sums), or with `any` (products).
 */
export function broadcast(
  f: FlowContext,
  operands: readonly (readonly Axis[])[],
  zero: 'all' | 'any',
): Axis[] {
  const rank = Math.max(...operands.map((axes) => axes.length))
  return Array.from({ length: rank }, (_, i) => {
    const here = operands.map((axes): Axis | undefined => axes[i - rank + axes.length])
    const wide = here.filter((a): a is Axis => a !== undefined && a.atoms.length !== 1)
    if (wide.length === 0) return here.find((a) => a !== undefined) ?? one(f)
    for (const other of wide.slice(1)) f.same(wide[0], other)
    const everywhere = wide.length === operands.length
    const isZero = zero === 'any' ? wide.some((a) => a.zero) : everywhere && wide.every((a) => a.zero)
    return { atoms: wide[0].atoms, zero: isZero }
  })
}

const present = (f: FlowContext) => f.inputs.flatMap((v) => (v ? [v.axes] : []))

/** What is computed element by element, with what removed indices hold in it. */
export const elementwise = (f: FlowContext, axes: readonly Axis[]): Flowing => ({
  axes,
  levels: levelsOf(f, axes),
})

const pointwise = (op: string, zero: 'all' | 'any') =>
  defineOp({ op, flow: (f) => [elementwise(f, broadcast(f, present(f), zero))], macs: noMacs })

/** Operators whose result is zero where all operands are. */
export const sums = ['Add', 'Sub', 'Min', 'Max', 'Sum', 'Mean'].map((op) => pointwise(op, 'all'))

export const mul = pointwise('Mul', 'any')

/** Zero where the dividend is. The divisor is sliced but, in the oracle, never zeroed. */
export const divisions = ['Div', 'Mod'].map((op) =>
  defineOp({
    op,
    flow(f) {
      const axes = broadcast(f, [f.axes(0), f.axes(1)], 'all')
      if (f.constant(1)) f.neverZero(1)
      else
        f.freeze(
          f.axes(1).filter((a) => a.zero),
          'it divides, and would be zero',
        )
      const y = axes.map((a, i) => withZero(a, zeroLike(f.axes(0), i - axes.length)))
      return [elementwise(f, y)]
    },
    macs: noMacs,
  }),
)

const zeroLike = (axes: readonly Axis[], fromEnd: number) =>
  axes.at(fromEnd)?.zero === true && -fromEnd <= axes.length

/** Zero where the base is, if every exponent is a constant above zero. */
export const pow = defineOp({
  op: 'Pow',
  flow(f) {
    const exponent = f.constant(1)
    const keepsZero = exponent !== undefined && numbersOf(exponent).every((e) => e > 0)
    if (exponent) f.neverZero(1)
    else f.freeze(f.axes(1), 'it is an exponent')
    const axes = broadcast(f, [f.axes(0), f.axes(1)], 'all')
    const y = axes.map((a, i) => withZero(a, keepsZero && zeroLike(f.axes(0), i - axes.length)))
    return [elementwise(f, y)]
  },
  macs: noMacs,
})

const never = (op: string) =>
  defineOp({
    op,
    flow: (f) => [{ axes: broadcast(f, present(f), 'all').map((a) => withZero(a, false)) }],
    macs: noMacs,
  })

/** Comparisons, logic and bits: 0 = 0 holds, so nothing is said to stay zero. */
export const comparisons = [
  'BitShift',
  'BitwiseAnd',
  'BitwiseOr',
  'BitwiseXor',
  'Equal',
  'Greater',
  'GreaterOrEqual',
  'Less',
  'LessOrEqual',
  'And',
  'Or',
  'Xor',
].map(never)

export const where = defineOp({
  op: 'Where',
  flow(f) {
    const values = broadcast(f, [f.axes(1), f.axes(2)], 'all')
    const axes = broadcast(f, [values, f.axes(0)], 'any')
    return [
      {
        axes: axes.map((a, i) => withZero(a, zeroLike(values, i - axes.length))),
        origins: chosenOrigins(f, axes),
      },
    ]
  },
  macs: noMacs,
})

/** Of a vector of sizes, each element keeps the origin of the operand that the run chose for it. */
function chosenOrigins(f: FlowContext, axes: readonly Axis[]): readonly Origin[] | undefined {
  const chosen = f.results()
  if (!chosen || axes.length !== 1) return undefined
  return chosen.map((value, i): Origin => {
    const operands = [1, 2].flatMap((input) => {
      const held = f.integers(input)
      const at = held?.length === 1 ? 0 : i
      return held?.[at] === value ? [f.inputs[input]?.origins?.[at] ?? { from: 'computed' as const }] : []
    })
    // Where both hold the same number, nothing says which one it was.
    return operands.length === 1 ? operands[0] : { from: 'computed' }
  })
}

/** Slopes broadcast to x; f(0) = 0. */
export const pRelu = defineOp({
  op: 'PRelu',
  flow: (f) => [
    { axes: broadcast(f, [f.axes(0), f.axes(1)], 'any').map((a, i) => ({ ...a, zero: f.axes(0)[i].zero })) },
  ],
  macs: noMacs,
})

/** Keeps the first input's axes; a mask, if any, has them too. */
export const dropout = defineOp({
  op: 'Dropout',
  flow(f) {
    const training = f.constant(2)
    if (f.node.inputs[2] && !(training && Number(training.data[0]) === 0)) f.decline('it may drop at random')
    return f.node.outputs.map(() => ({ axes: f.axes(0) }))
  },
  macs: noMacs,
})
