const steps = 'a step: its slope is zero wherever it has one'
const whole = 'it gives whole numbers or truth values'
const sizes = 'it gives sizes, or fills a shape with a number'
const chance = 'it draws random numbers'

const each = (operators: readonly string[], reason: string) =>
  Object.fromEntries(operators.map((o) => [o, reason]))

/** Operators that gradients end at by nature, whatever they are given, and why. */
export const flatOperators: Readonly<Record<string, string>> = {
  ...each(['Ceil', 'Floor', 'Round', 'Sign', 'Hardmax'], steps),
  ...each(['ArgMax', 'ArgMin', 'NonZero', 'IsInf', 'IsNaN', 'Not', 'And', 'Or', 'Xor'], whole),
  ...each(['Equal', 'Greater', 'GreaterOrEqual', 'Less', 'LessOrEqual', 'NonMaxSuppression'], whole),
  ...each(['BitShift', 'BitwiseAnd', 'BitwiseNot', 'BitwiseOr', 'BitwiseXor'], whole),
  ...each(['Shape', 'Size', 'ConstantOfShape', 'EyeLike', 'Constant', 'Range'], sizes),
  ...each(['Bernoulli', 'Multinomial', 'RandomNormal', 'RandomUniform'], chance),
  ...each(['RandomNormalLike', 'RandomUniformLike'], chance),
}
