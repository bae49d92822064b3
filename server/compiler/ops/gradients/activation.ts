import { float, floatAttribute, stringAttribute } from '../../graph/index.js'
import type { GradientRule, GradientRules, Place } from './rule.js'

/** dy times the slope that `of` writes, from what came in and what came out. */
const slope =
  (of: (p: Place, x: string, y: string) => string): GradientRule =>
  (p) => [p.g.mul(p.dy, of(p, p.node.inputs[0], p.node.outputs[0]))]

/** dy where the condition holds, else dy times a slope, or nothing. */
const either =
  (condition: (p: Place, x: string) => string, otherwise?: (p: Place, x: string, y: string) => string) =>
  (p: Place): readonly string[] => {
    const [x] = p.node.inputs
    const rest = otherwise ? p.g.mul(p.dy, otherwise(p, x, p.node.outputs[0])) : p.g.scalar(0)
    return [p.g.where(condition(p, x), p.dy, rest)]
  }

const square = ({ g }: Place, x: string) => g.mul(x, x)
const inverseRoot = ({ g }: Place, of: string) => {
  g.steep()
  return g.op('Reciprocal', [g.op('Sqrt', [of])])
}
/** a + b · x² */
const quadratic = (p: Place, a: number, b: number, x: string) =>
  p.g.add(p.g.scalar(a), p.g.scale(square(p, x), b))
const isPositive = ({ g }: Place, x: string) => g.op('Greater', [x, g.scalar(0)])

const PHI = 1 / Math.sqrt(2 * Math.PI)

/** Φ(x) + x · φ(x), of x · Φ(x). */
function geluSlope({ g }: Place, x: string): string {
  const phi = g.scale(g.op('Exp', [g.scale(g.mul(x, x), -0.5)]), PHI)
  const whole = g.scale(g.add(g.op('Erf', [g.scale(x, Math.SQRT1_2)]), g.scalar(1)), 0.5)
  return g.add(whole, g.mul(x, phi))
}

/** Of x/2 · (1 + tanh u), u = √(2/π) · (x + 0.044715 x³). */
function tanhGeluSlope(p: Place, x: string): string {
  const { g } = p
  const k = Math.sqrt(2 / Math.PI)
  const t = g.op('Tanh', [g.mul(x, quadratic(p, k, k * 0.044715, x))])
  const inner = quadratic(p, k, 3 * k * 0.044715, x)
  const rise = g.mul(g.mul(x, g.sub(g.scalar(1), g.mul(t, t))), inner)
  return g.scale(g.add(g.add(t, g.scalar(1)), rise), 0.5)
}

/** Of x · σ(αx): s + αx · s · (1 − s). */
const swish = (alpha: number): GradientRule =>
  slope((p, x) => {
    const { g } = p
    const scaled = g.scale(x, floatAttribute(p.node, 'alpha', alpha))
    const s = g.op('Sigmoid', [scaled])
    return g.mul(s, g.add(g.scalar(1), g.mul(scaled, g.sub(g.scalar(1), s))))
  })

/** Of x · tanh(softplus(x)). */
const mish = slope(({ g }, x) => {
  const t = g.op('Tanh', [g.op('Softplus', [x])])
  return g.add(t, g.mul(g.mul(x, g.op('Sigmoid', [x])), g.sub(g.scalar(1), g.mul(t, t))))
})

const SELU_ALPHA = 1.6732632423543772
const SELU_GAMMA = 1.0507009873554805

const selu: GradientRule = (p) => {
  const { g, node, dy } = p
  const [alpha, gamma] = [
    floatAttribute(node, 'alpha', SELU_ALPHA),
    floatAttribute(node, 'gamma', SELU_GAMMA),
  ]
  const below = g.add(node.outputs[0], g.scalar(alpha * gamma))
  return [g.mul(dy, g.where(isPositive(p, node.inputs[0]), g.scalar(gamma), below))]
}

const gelu: GradientRule = slope((p, x) =>
  stringAttribute(p.node, 'approximate', 'none') === 'tanh' ? tanhGeluSlope(p, x) : geluSlope(p, x),
)

export const activations: GradientRules = {
  Abs: slope(({ g }, x) => g.op('Sign', [x])),
  Acos: slope((p, x) => p.g.neg(inverseRoot(p, quadratic(p, 1, -1, x)))),
  Acosh: slope((p, x) => inverseRoot(p, quadratic(p, -1, 1, x))),
  Asin: slope((p, x) => inverseRoot(p, quadratic(p, 1, -1, x))),
  Asinh: slope((p, x) => inverseRoot(p, quadratic(p, 1, 1, x))),
  Atan: slope((p, x) => p.g.op('Reciprocal', [quadratic(p, 1, 1, x)])),
  Atanh: slope((p, x) => p.g.op('Reciprocal', [quadratic(p, 1, -1, x)])),
  Cos: slope(({ g }, x) => g.neg(g.op('Sin', [x]))),
  Cosh: slope(({ g }, x) => g.op('Sinh', [x])),
  Sin: slope(({ g }, x) => g.op('Cos', [x])),
  Sinh: slope(({ g }, x) => g.op('Cosh', [x])),
  Tan: slope((p, _, y) => quadratic(p, 1, 1, y)),
  Reciprocal: slope((p, _, y) => p.g.neg(square(p, y))),
  Softplus: slope(({ g }, x) => g.op('Sigmoid', [x])),
  /** (1 − |y|)² = 1 / (1 + |x|)² */
  Softsign: slope((p, _, y) => square(p, p.g.sub(p.g.scalar(1), p.g.op('Abs', [y])))),
  Celu: either(isPositive, ({ g, node }, x) =>
    g.op('Exp', [g.scale(x, 1 / floatAttribute(node, 'alpha', 1))]),
  ),
  Elu: either(isPositive, ({ g, node }, _, y) => g.add(y, g.scalar(floatAttribute(node, 'alpha', 1)))),
  Selu: selu,
  Mish: mish,
  Swish: swish(1),
  Gelu: gelu,
  'com.microsoft.Gelu': gelu,
  'com.microsoft.QuickGelu': swish(1.702),
  /** Without its bias, which lowering takes off. */
  'com.microsoft.FastGelu': slope(tanhGeluSlope),
  Shrink: either(({ g, node }, x) =>
    g.op('Greater', [g.op('Abs', [x]), g.scalar(floatAttribute(node, 'lambd', 0.5))]),
  ),
  ThresholdedRelu: either(({ g, node }, x) =>
    g.op('Greater', [x, g.scalar(floatAttribute(node, 'alpha', 1))]),
  ),
}

/** x · s(x) with s = clip(x/6 + 1/2): s + x/6 between −3 and 3. Shrink keeps only what lies outside. */
export const hardSwish: GradientRule = slope(({ g }, x) => {
  const s = g.op('HardSigmoid', [x], { alpha: 1 / 6, beta: float(0.5) })
  const outside = g.op('Shrink', [x], { lambd: float(3), bias: float(0) })
  return g.add(s, g.scale(g.sub(x, outside), 1 / 6))
})
