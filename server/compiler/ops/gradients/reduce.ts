import { elementCount, intAttribute, intsAttribute, numbersOf } from '../../graph/index.js'
import type { GradientRule, GradientRules, Place } from './rule.js'

/** The axes that a reduction goes over, from its attribute or its second input; all where none are given. */
function axesOf(p: Place): number[] {
  const rank = p.shape(p.node.inputs[0]).length
  const operand = p.node.inputs[1] ? p.constant(p.node.inputs[1]) : undefined
  const axes = intsAttribute(p.node, 'axes') ?? (operand && numbersOf(operand)) ?? []
  if (axes.length === 0 && intAttribute(p.node, 'noop_with_empty_axes', 0) === 1) return []
  return axes.length === 0 ? [...Array(rank).keys()] : axes.map((a) => (a + rank) % rank)
}

/** A reduction with its output and that output's gradient spread over the input's rank. */
interface Reduction extends Place {
  readonly x: string
  readonly y: string
  readonly axes: readonly number[]
}

/** The gradient of a reduction that keeps its axes with size 1; narrow ones are spread later. */
const reduction =
  (gradient: (r: Reduction) => string): GradientRule =>
  (p) => {
    const [x] = p.node.inputs
    const axes = axesOf(p)
    const kept = p.shape(x).map((d, i) => (axes.includes(i) ? 1 : d))
    const wide = (v: string) => (p.shape(p.node.outputs[0]).length === kept.length ? v : p.g.reshape(v, kept))
    return [gradient({ ...p, x, axes, dy: wide(p.dy), y: wide(p.node.outputs[0]) })]
  }

const spread = (share: (r: Reduction) => number) => reduction((r) => r.broadcast(r.g.scale(r.dy, share(r))))

const mean = spread(({ shape, x, axes }) => 1 / elementCount(axes.map((a) => shape(x)[a])))

/** All places that reached the extreme share its gradient equally. */
const extreme = reduction(({ g, dy, x, y, axes }) => {
  const hits = g.cast(g.op('Equal', [x, y]), 'float32')
  return g.mul(hits, g.div(dy, g.sum(hits, axes, true)))
})

/** Every factor's gradient is the product of the others; with one zero only that factor has one. */
const prod = reduction(({ g, dy, x, y, axes }) => {
  const isZero = g.op('Equal', [x, g.scalar(0)])
  const zeros = g.sum(g.cast(isZero, 'float32'), axes, true)
  const filled = g.where(isZero, g.scalar(1), x)
  const rest = g.reduce('ReduceProd', filled, axes)
  const only = g.where(g.op('Equal', [zeros, g.scalar(1)]), rest, g.scalar(0))
  return g.mul(dy, g.where(isZero, only, g.div(y, filled)))
})

/** x / ‖x‖, and 0 where the norm is. */
const l2 = reduction(({ g, dy, x, y }) => {
  const safe = g.where(g.op('Equal', [y, g.scalar(0)]), g.scalar(1), y)
  return g.mul(g.div(dy, safe), x)
})

export const reductions: GradientRules = {
  ReduceSum: spread(() => 1),
  ReduceMean: mean,
  ReduceMax: extreme,
  ReduceMin: extreme,
  ReduceProd: prod,
  ReduceL1: reduction(({ g, dy, x }) => g.mul(dy, g.op('Sign', [x]))),
  ReduceL2: l2,
  ReduceSumSquare: reduction(({ g, dy, x }) => g.mul(g.scale(dy, 2), x)),
  ReduceLogSum: reduction(({ g, dy, y, broadcast }) => broadcast(g.div(dy, g.op('Exp', [y])))),
  ReduceLogSumExp: reduction(({ g, dy, x, y }) => g.mul(dy, g.op('Exp', [g.sub(x, y)]))),
}
