import { floatAttribute, numbersOf } from '../../graph/index.js'
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

const masked = ({ g, dy }: Place, condition: string) => g.where(condition, dy, g.scalar(0))

/** Passes where the output is what came in; a value exactly on a bound passes. */
const clip = unary((p, x, y) => masked(p, p.g.op('Equal', [x, y])))

const hardSigmoid = unary((p, _, y) => {
  const { g } = p
  const alpha = floatAttribute(p.node, 'alpha', 0.2)
  const inside = g.op('Equal', [y, g.op('Clip', [y, g.scalar(2 ** -24), g.scalar(1 - 2 ** -24)])])
  return g.scale(masked(p, inside), alpha)
})

/** x · s(x) with s = clip(x/6 + 1/2): s + x/6 between −3 and 3. Shrink keeps only what lies outside. */
const hardSwish = unary(({ g, dy }, x) => {
  const s = g.op('HardSigmoid', [x], { alpha: 1 / 6, beta: { type: 'float', value: 0.5 } })
  const outside = g.op('Shrink', [x], {
    lambd: { type: 'float', value: 3 },
    bias: { type: 'float', value: 0 },
  })
  return g.mul(dy, g.add(s, g.scale(g.sub(x, outside), 1 / 6)))
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

const pow: GradientRule = (p) => {
  const { g, dy } = p
  const exponent = p.constant(p.node.inputs[1])
  if (!exponent || p.wants(1)) return ['', '']
  const values = numbersOf(exponent)
  const [x] = p.node.inputs
  if (values.length === 1 && values[0] === 2) return [g.mul(dy, g.scale(x, 2))]
  const less = g.sub(p.node.inputs[1], g.scalar(1))
  const each = g.mul(dy, g.mul(p.node.inputs[1], g.op('Pow', [x, less])))
  return [g.unbroadcast(each, p.shape(p.node.outputs[0]), p.shape(x))]
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
  Sum: (p) =>
    p.node.inputs.map((x, i) =>
      p.wants(i) ? p.g.unbroadcast(p.dy, p.shape(p.node.outputs[0]), p.shape(x)) : '',
    ),
  Pow: pow,
  Identity: unary(({ dy }) => dy),
  /** As in inference: nothing is dropped. */
  Dropout: unary(({ dy }) => dy),
  Neg: unary(({ g, dy }) => g.neg(dy)),
  Sqrt: unary(({ g, dy }, _, y) => g.div(g.scale(dy, 0.5), y)),
  Exp: unary(({ g, dy }, _, y) => g.mul(dy, y)),
  Log: unary(({ g, dy }, x) => g.div(dy, x)),
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
