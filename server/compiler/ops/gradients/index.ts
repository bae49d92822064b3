import { activations } from './activation.js'
import { convolutions } from './convolution.js'
import { einsums } from './einsum.js'
import { elementwise } from './elementwise.js'
import { gathers } from './gather.js'
import { products } from './matmul.js'
import { normalizations } from './normalization.js'
import { pools } from './pool.js'
import { reductions } from './reduce.js'
import { resizes } from './resize.js'
import type { GradientRules } from './rule.js'
import { shape } from './shape.js'
import { softmaxes } from './softmax.js'

export { Builder, TRAINING_OPSET } from './builder.js'
export { flatOperators, withoutGradient } from './flat.js'
export { type GradientRule, type GradientRules, type Place, passingAll } from './rule.js'
export { tapsOf } from './weight-gradient.js'
export { type Window, windowOf } from './window.js'

/** The gradient of every operator that can be trained through as it is. */
export const gradientRules: GradientRules = {
  ...activations,
  ...elementwise,
  ...shape,
  ...gathers,
  ...resizes,
  ...products,
  ...einsums,
  ...convolutions,
  ...pools,
  ...reductions,
  ...softmaxes,
  ...normalizations,
}
