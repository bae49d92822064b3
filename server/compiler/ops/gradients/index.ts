import { convolutions } from './convolution.js'
import { elementwise } from './elementwise.js'
import { products } from './matmul.js'
import { reductions } from './reduction.js'
import type { GradientRules } from './rule.js'
import { shape } from './shape.js'

export { Builder, TRAINING_OPSET } from './builder.js'
export { tapsOf } from './convolution.js'
export { flatOperators } from './flat.js'
export type { GradientRule, GradientRules, Place } from './rule.js'
export { type Window, windowOf } from './window.js'

/** The gradient of every operator that can be trained through. */
export const gradientRules: GradientRules = {
  ...elementwise,
  ...shape,
  ...products,
  ...convolutions,
  ...reductions,
}
