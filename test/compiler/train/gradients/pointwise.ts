import { floats, node } from '@espalier/server/compiler/graph/index.js'
import { type Case, type Dims, y } from './check.js'

export const unary = (op: string, attributes: Parameters<typeof node>[3] = {}, positive = false): Case => ({
  what: op,
  nodes: [y(op, ['x'], attributes)],
  inputs: { x: [3, 5, 7] },
  positive,
})

export const binary = (op: string, a: Dims, b: Dims, positive = false): Case => ({
  what: `${op} of [${a}] and [${b}]`,
  nodes: [y(op, ['a', 'b'])],
  inputs: { a, b },
  positive,
  linear: op === 'Mul',
})

export const pointwise: readonly Case[] = [
  binary('Add', [2, 3, 4], [3, 1]),
  binary('Sub', [4], [2, 3, 4]),
  binary('Mul', [2, 3, 4, 5], [2, 3, 1, 1]),
  binary('Mul', [2, 3], [2, 3]),
  binary('Div', [2, 3, 4], [3, 4], true),
  binary('Div', [1], [2, 3], true),
  binary('PRelu', [2, 3, 4, 4], [3, 1, 1]),
  { what: 'Sum of three', nodes: [y('Sum', ['a', 'b', 'c'])], inputs: { a: [2, 3], b: [3], c: [2, 1] } },
  {
    what: 'a value used twice',
    nodes: [node('Mul', ['x', 'x'], ['z']), y('Add', ['z', 'x'])],
    inputs: { x: [3, 4] },
  },
  ...[
    'Relu',
    'LeakyRelu',
    'HardSwish',
    'HardSigmoid',
    'Sigmoid',
    'Tanh',
    'Erf',
    'Exp',
    'Neg',
    'Identity',
  ].map((op) => unary(op)),
  unary('HardSigmoid', { alpha: 0.4, beta: 0.3 }),
  unary('Log', {}, true),
  unary('Sqrt', {}, true),
  {
    what: 'Clip',
    nodes: [y('Clip', ['x', 'lo', 'hi'])],
    inputs: { x: [3, 20] },
    constants: { lo: floats([], [0]), hi: floats([], [1]) },
  },
  {
    what: 'Pow by 2',
    nodes: [y('Pow', ['x', 'p'])],
    inputs: { x: [3, 4] },
    constants: { p: floats([], [2]) },
  },

  ...[
    'Abs',
    'Atan',
    'Asinh',
    'Celu',
    'Elu',
    'Gelu',
    'Mish',
    'Selu',
    'Sin',
    'Cos',
    'Softplus',
    'Softsign',
  ].map((op) => ({
    ...unary(op),
    opset: 20,
  })),
  { ...unary('Gelu', { approximate: 'tanh' }), what: 'Gelu by tanh', opset: 20 },
  unary('Celu', { alpha: 0.7 }),
  unary('Elu', { alpha: 0.7 }),
  unary('Selu', { alpha: 1.5, gamma: 0.8 }),
  unary('Shrink', { lambd: 1.5, bias: 0.5 }),
  unary('ThresholdedRelu', { alpha: 1.5 }),
  { ...unary('Swish', { alpha: 1.5 }), opset: 24 },
  ...['Acos', 'Asin', 'Atanh', 'Tan', 'Cosh', 'Sinh'].map(
    (op): Case => ({ ...unary(op), within: [-0.8, 0.8] }),
  ),
  { ...unary('Acosh'), within: [1.3, 3] },
  { ...unary('Reciprocal'), within: [0.5, 3] },
  ...['Gelu', 'QuickGelu', 'FastGelu'].map(
    (op): Case => ({
      what: `com.microsoft.${op}`,
      nodes: [node(op, ['x'], ['y'], {}, { domain: 'com.microsoft' })],
      inputs: { x: [3, 5] },
    }),
  ),
  ...(['Max', 'Min', 'Mean'] as const).map(
    (op): Case => ({
      what: `${op} of three`,
      nodes: [y(op, ['a', 'b', 'c'])],
      inputs: { a: [2, 3, 4], b: [3, 1], c: [4] },
      linear: op === 'Mean',
    }),
  ),
  { what: 'Max of a value with itself', nodes: [y('Max', ['x', 'x'])], inputs: { x: [3, 4] } },
  {
    what: 'Mod, in the sign of what is divided',
    nodes: [y('Mod', ['a', 'b'], { fmod: 1 })],
    inputs: { a: [2, 3] },
    constants: { b: floats([3], [2.9, -1.7, 5]) },
  },
  {
    what: 'Pow by a tensor',
    nodes: [y('Pow', ['a', 'b'])],
    inputs: { a: [2, 3], b: [3] },
    within: [0.5, 2],
  },
  {
    what: 'Pow by a number that is not whole',
    nodes: [y('Pow', ['a', 'b'])],
    inputs: { a: [2, 3] },
    constants: { b: floats([], [-0.75]) },
    within: [0.5, 2],
  },
  {
    what: 'Where, broadcast',
    nodes: [y('Where', ['c', 'a', 'b'])],
    inputs: { a: [2, 1, 4], b: [3, 1] },
    constants: {
      c: { dtype: 'bool', dims: [3, 4], data: Uint8Array.from({ length: 12 }, (_, i) => (i * 7) % 2) },
    },
  },
  {
    what: 'Cast to another float type and back',
    nodes: [node('Cast', ['x'], ['z'], { to: 11 }), node('Cos', ['z'], ['w']), y('Cast', ['w'], { to: 1 })],
    inputs: { x: [3, 4] },
  },
  {
    what: 'a value that also leads through whole numbers',
    nodes: [
      node('Cast', ['x'], ['n'], { to: 7 }),
      node('Cast', ['n'], ['f'], { to: 1 }),
      node('Floor', ['x'], ['g']),
      y('Sum', ['x', 'f', 'g']),
    ],
    inputs: { x: [3, 4] },
    within: [0.2, 0.8],
  },
]
