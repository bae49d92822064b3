import { elementCount, floatAttribute, numbersOf } from '../../graph/index.js'
import { hardSwish } from './activation.js'
import type { GradientRule, GradientRules, Place } from './rule.js'

/** Two operands that broadcast against each other; `parts` gives the gradients before they are summed back. */
const binary =
  (parts: readonly [(p: Place) => string, (p: Place) => string]): GradientRule =>
  (p) =>
    parts.map((part, i) =>
      p.wants(i) ? p.g.unbroadcast(part(p), p.shape(p.node.outputs[0]), p.shape(p.node.inputs[i])) : '',
    )

const unary =
  (part: (p: Place, x: string, y: string) => string): GradientRule =>
  (p) => [part(p, p.node.inputs[0], p.node.outputs[0])]

const masked = ({ g, dy }: Place, condition: string) => g.masked(dy, condition)

/** Passes where the output is what came in; a value exactly on a bound passes. */
const clip = unary((p, x, y) => masked(p, p.g.op('Equal', [x, y])))

const hardSigmoid = unary((p, _, y) => {
  const { g } = p
  const alpha = floatAttribute(p.node, 'alpha', 0.2)
  const inside = g.op('Equal', [y, g.op('Clip', [y, g.scalar(2 ** -24), g.scalar(1 - 2 ** -24)])])
  return g.scale(masked(p, inside), alpha)
})

const prelu: GradientRule = (p) => {
  const { g, dy } = p
  const [x, slope] = p.node.inputs
  const positive = g.op('Greater', [x, g.scalar(0)])
  const dx = p.wants(0) ? g.where(positive, dy, g.mul(dy, slope)) : ''
  if (!p.wants(1)) return [dx]
  const each = g.where(positive, g.scalar(0), g.mul(dy, x))
  return [dx, g.unbroadcast(each, p.shape(x), p.shape(slope))]
}

/** Of bases that are not positive, the exponent gets no gradient: the power is not smooth in it there. */
const pow: GradientRule = (p) => {
  const { g, dy, node } = p
  const [x, exponent] = node.inputs
  const dims = p.shape(node.outputs[0])
  const back = (each: string, to: string) => g.unbroadcast(each, dims, p.shape(to))
  const base = () => {
    const value = p.constant(exponent)
    if (value && elementCount(value.dims) === 1 && numbersOf(value)[0] === 2) return g.mul(dy, g.scale(x, 2))
    const less = g.op('Pow', [x, g.sub(exponent, g.scalar(1))])
    return back(g.mul(dy, g.mul(exponent, less)), x)
  }
  const power = () => {
    const log = g.op('Log', [g.where(g.op('Greater', [x, g.scalar(0)]), x, g.scalar(1))])
    return back(g.mul(dy, g.mul(node.outputs[0], log)), exponent)
  }
  return [p.wants(0) ? base() : '', p.wants(1) ? power() : '']
}

/** The remainder has the dividend's sign: a − b · trunc(a / b). */
const mod: GradientRule = binary([
  ({ dy }) => dy,
  ({ g, dy, node }) => {
    const ratio = g.div(node.inputs[0], node.inputs[1])
    const whole = g.mul(g.op('Sign', [ratio]), g.op('Floor', [g.op('Abs', [ratio])]))
    return g.neg(g.mul(dy, whole))
  },
])

/** Each input that reached the extreme gets an equal share. */
const extreme: GradientRule = (p) => {
  const { g, dy, node } = p
  const [y] = node.outputs
  const hits = node.inputs.map((x) => g.cast(g.op('Equal', [x, y]), 'float32'))
  const share =
    hits.length === 1 ? dy : g.div(dy, hits.length === 2 ? g.add(hits[0], hits[1]) : g.op('Sum', hits))
  return node.inputs.map((x, i) =>
    p.wants(i) ? g.unbroadcast(g.mul(share, hits[i]), p.shape(y), p.shape(x)) : '',
  )
}

const sum =
  (share: (p: Place) => number): GradientRule =>
  (p) => {
    const each = p.g.scale(p.dy, share(p))
    return p.node.inputs.map((x, i) =>
      p.wants(i) ? p.g.unbroadcast(each, p.shape(p.node.outputs[0]), p.shape(x)) : '',
    )
  }

const steep =
  (rule: GradientRule): GradientRule =>
  (p) => {
    p.g.steep()
    return rule(p)
  }

const where: GradientRule = (p) => {
  const { g, dy, node } = p
  const [condition, a, b] = node.inputs
  const dims = p.shape(node.outputs[0])
  const zero = g.scalar(0)
  return [
    '',
    p.wants(1) ? g.unbroadcast(g.where(condition, dy, zero), dims, p.shape(a)) : '',
    p.wants(2) ? g.unbroadcast(g.where(condition, zero, dy), dims, p.shape(b)) : '',
  ]
}

export const elementwise: GradientRules = {
  Add: binary([({ dy }) => dy, ({ dy }) => dy]),
  Sub: binary([({ dy }) => dy, ({ g, dy }) => g.neg(dy)]),
  Mul: binary([
    ({ g, dy, node }) => g.mul(dy, node.inputs[1]),
    ({ g, dy, node }) => g.mul(dy, node.inputs[0]),
  ]),
  Div: binary([
    ({ g, dy, node }) => g.div(dy, node.inputs[1]),
    ({ g, dy, node }) => g.neg(g.div(g.mul(dy, node.outputs[0]), node.inputs[1])),
  ]),
  Sum: sum(() => 1),
  Mean: sum(({ node }) => 1 / node.inputs.length),
  Max: extreme,
  Min: extreme,
  Mod: mod,
  Where: where,
  Pow: steep(pow),
  Identity: unary(({ dy }) => dy),
  /** Between float types. */
  Cast: unary(({ g, dy, node, dtype }) => g.cast(dy, dtype(node.inputs[0]))),
  CastLike: unary(({ g, dy, node, dtype }) => g.cast(dy, dtype(node.inputs[0]))),
  /** As in inference: nothing is dropped. */
  Dropout: unary(({ dy }) => dy),
  Neg: unary(({ g, dy }) => g.neg(dy)),
  Sqrt: steep(unary(({ g, dy }, _, y) => g.div(g.scale(dy, 0.5), y))),
  Exp: unary(({ g, dy }, _, y) => g.mul(dy, y)),
  Log: steep(unary(({ g, dy }, x) => g.div(dy, x))),
  Tanh: unary(({ g, dy }, _, y) => g.mul(dy, g.sub(g.scalar(1), g.mul(y, y)))),
  Sigmoid: unary(({ g, dy }, _, y) => g.mul(dy, g.mul(y, g.sub(g.scalar(1), y)))),
  Erf: unary(({ g, dy }, x) => g.mul(dy, g.scale(g.op('Exp', [g.neg(g.mul(x, x))]), 2 / Math.sqrt(Math.PI)))),
  Relu: unary((p, _, y) => masked(p, p.g.op('Greater', [y, p.g.scalar(0)]))),
  LeakyRelu: unary((p, x) => {
    const { g, dy, node } = p
    return g.where(g.op('Greater', [x, g.scalar(0)]), dy, g.scale(dy, floatAttribute(node, 'alpha', 0.01)))
  }),
  PRelu: prelu,
  Clip: clip,
  HardSigmoid: hardSigmoid,
  HardSwish: hardSwish,
}
