import { floatAttribute, floats, numbersOf, stringAttribute, tensorAttribute } from '../graph/index.js'
import { keepingZero, keepsZero } from './activation.js'
import { type FlowContext, MICROSOFT } from './define.js'
import { statesKeepZero } from './recurrent.js'

/** What a node says of itself, whatever flows through it. */
export type NodeFacts = Pick<FlowContext, 'graph' | 'node' | 'opset' | 'constant'>

/**
 * Sets of inputs, by position: where every input of one set is exactly zero, so is the output, whatever finite values
 * the others hold. An absent input is zero. `all`: the set of all inputs; `any`: each input is a set of its own.
 */
export type ZeroSets = 'all' | 'any' | readonly (readonly number[])[]

/** What an operator makes of whole inputs that are exactly zero. */
export interface ZeroRule {
  /** When output `i` is exactly zero. */
  readonly when: ZeroSets | ((f: NodeFacts, i: number) => ZeroSets)
  /** Inputs that can be left out where they are exactly zero, as long as the others have the output's shape. */
  readonly drops?: 'any' | readonly number[]
}

const first = [[0]] as const
/** x · w + b, plus a summand of y's shape where the fused convolution is given one */
const linear = [
  [1, 2, 3],
  [0, 2, 3],
] as const
/** Normalised, times a scale, plus a shift. */
const scaled = [[1, 2]] as const

const each = (ops: readonly string[], when: ZeroRule['when']): Record<string, ZeroRule> =>
  Object.fromEntries(ops.map((op) => [op, { when }]))
/** Further outputs are masks, statistics or positions. */
const firstOutput = (sets: ZeroSets) => (_: NodeFacts, i: number) => (i === 0 ? sets : [])
const only = (holds: (f: NodeFacts) => boolean) => (f: NodeFacts) => (holds(f) ? first : [])

const nought = floats([1], [0])

/** Where the operator bends what it gives by an activation that keeps zero. */
const bent = (sets: ZeroSets) => (f: NodeFacts) =>
  keepsZero(stringAttribute(f.node, 'activation', '')) ? sets : []
const fused = (op: string) => `${MICROSOFT}.${op}`

/** Weights and biases, or the sequence and biases; and the states that it starts from. */
const recurrent = (states: readonly number[]) => (f: NodeFacts) =>
  statesKeepZero(f.node)
    ? [
        [1, 3, ...states],
        [0, 3, ...states],
      ]
    : []

/** Values that are zero are zero however they are weighed. They come last of those given; others are inputs beside them. */
const attended =
  (places: number, others: readonly number[]) =>
  ({ node }: NodeFacts, i: number) =>
    i === 0 ? [[node.inputs.slice(0, places).findLastIndex((name) => name !== ''), ...others]] : []

/** Whether input 0 holds its zero point where it is said to be zero: a constant, or what was quantised to that point. */
function restsAtPoint({ graph, node, constant }: NodeFacts): boolean {
  const pointOf = (name = '') =>
    name === '' ? '0' : graph.constant(name) && `${numbersOf(graph.constant(name)!)}`
  const own = pointOf(node.inputs[2])
  if (own === undefined) return false
  const maker = graph.producer(node.inputs[0])
  return constant(0) !== undefined || (maker?.op === 'QuantizeLinear' && pointOf(maker.inputs[2]) === own)
}

/** What is known of operators at zero, by name; those that are not listed may give anything. */
export const zeroRules: Readonly<Record<string, ZeroRule>> = {
  Add: { when: 'all', drops: 'any' },
  Sub: { when: 'all', drops: [1] },
  Sum: { when: 'all', drops: 'any' },
  ...each(['Concat', 'Max', 'Mean', 'Min', fused('BiasGelu'), fused('FastGelu')], 'all'),
  ...each(['Einsum', 'MatMul', 'Mul', fused('FusedMatMul')], 'any'),
  ...each(['Conv', 'ConvTranspose', 'Gemm', fused('FusedConv'), fused('FusedGemm')], bent(linear)),
  ...each(
    [
      ...['BatchNormalization', 'GroupNormalization', 'InstanceNormalization', 'LayerNormalization'],
      ...['RMSNormalization', 'SimplifiedLayerNormalization'],
    ],
    firstOutput(scaled),
  ),
  ...each(['Dropout', 'LpPool', 'MaxPool'], firstOutput(first)),
  ...each([...keepingZero, fused('Gelu'), fused('QuickGelu')], first),
  ...each(
    [
      ...['Div', 'PRelu', 'LRN', 'CumSum', 'Trilu', 'ReverseSequence'],
      ...['AveragePool', 'GlobalAveragePool', 'GlobalLpPool', 'GlobalMaxPool'],
      ...['ReduceL1', 'ReduceL2', 'ReduceMax', 'ReduceMean', 'ReduceMin', 'ReduceProd', 'ReduceSum'],
      ...['ReduceSumSquare', 'Cast', 'CastLike', 'DepthToSpace', 'Expand', 'Flatten', 'Identity', 'Reshape'],
      ...['Gather', 'GatherElements', 'GatherND', 'Slice', 'Split', 'SpaceToDepth', 'Squeeze', 'Tile'],
      ...['Transpose', 'Unsqueeze', 'Upsample'],
    ],
    first,
  ),
  Clip: { when: only((f) => number(f, 1, 'min', -1) <= 0 && number(f, 2, 'max', 1) >= 0) },
  HardSigmoid: { when: only((f) => floatAttribute(f.node, 'beta', 0.5) <= 0) },
  Pad: {
    when: only(
      (f) => stringAttribute(f.node, 'mode', 'constant') !== 'constant' || number(f, 2, 'value', 0) === 0,
    ),
  },
  Pow: { when: only((f) => number(f, 1, '', 0) > 0) },
  Resize: { when: only((f) => floatAttribute(f.node, 'extrapolation_value', 0) === 0) },
  Where: { when: [[1, 2]] },
  ConstantOfShape: {
    when: ({ node }) =>
      numbersOf(tensorAttribute(node, 'value') ?? nought).every((v) => v === 0) ? [[]] : [],
  },
  ...each(['RNN', 'GRU'], recurrent([5])),
  LSTM: { when: recurrent([5, 6]) },
  Attention: { when: (_, i) => [[[2, 5]], [[1, 4]], [[2, 5]]][i] ?? [] },
  [fused('Attention')]: {
    when: firstOutput([
      [1, 2, 4],
      [0, 2, 4],
    ]),
  },
  [fused('MultiHeadAttention')]: { when: attended(3, [3, 7]) },
  [fused('GroupQueryAttention')]: { when: attended(3, [4]) },
  // A quantised value counts as zero where it holds its zero point.
  ...each(['QuantizeLinear', fused('QuantizeLinear')], first),
  ...each(['DequantizeLinear', fused('DequantizeLinear')], only(restsAtPoint)),
}

/** A number that is an input, or in older opsets an attribute; the least where it holds several, NaN where computed. */
function number({ node, constant }: NodeFacts, i: number, attribute: string, otherwise: number): number {
  if (!node.inputs[i]) return floatAttribute(node, attribute, otherwise)
  const value = constant(i)
  return value ? Math.min(...numbersOf(value)) : Number.NaN
}
