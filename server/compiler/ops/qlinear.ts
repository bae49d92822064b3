import { intAttribute, type Node } from '../graph/index.js'
import { elsewhereAtZero, zeroAtZero } from './activation.js'
import { concat } from './concat.js'
import { convolutions } from './conv.js'
import {
  type CostContext,
  defineOp,
  type FlowContext,
  leftWhole,
  MICROSOFT,
  type OpDefinition,
  positive,
} from './define.js'
import { mul, sums } from './elementwise.js'
import { gemms, matMul } from './gemm.js'
import { pools } from './pool.js'
import { meant, quantised, scaled } from './quantize.js'

/** One operand: where it lies, and its scale and zero point; both may be one an index of `along`. */
interface Operand {
  readonly input: number
  readonly scale?: number
  readonly point?: number
  readonly along?: number
}

interface Integer {
  readonly op: string
  readonly domain?: string
  /** The operator of real numbers that it stands for. */
  readonly like: string
  readonly operands: readonly Operand[] | ((node: Node) => readonly Operand[])
  /** Scale and zero point of what it gives; absent where that is not quantised. */
  readonly result?: { readonly scale: number; readonly point: number }
  readonly weights?: readonly number[]
}

const real = new Map(
  [...convolutions, matMul, ...gemms, ...sums, mul, concat, ...zeroAtZero, ...elsewhereAtZero, ...pools]
    .filter((o) => o.domain === '')
    .map((o) => [o.op, o]),
)

/** An operator on quantised operands: indices flow as in the real one, zero is the zero point. */
function integer({ op, domain = '', like, operands, result, weights = [] }: Integer): OpDefinition {
  const own = real.get(like)
  if (!own) throw new Error(`${op} stands for ${like}, which is not described`)
  const of = (node: Node) => (typeof operands === 'function' ? operands(node) : operands)
  return defineOp({
    op,
    domain,
    weights,
    flow(f) {
      if (intAttribute(f.node, 'channels_last', 0) === 1) f.decline('its channels come last')
      const given = of(f.node)
      const inputs = given.map((o) => (f.inputs[o.input] ? { axes: operand(f, o) } : undefined))
      const seen: FlowContext = {
        ...f,
        node: { ...f.node, inputs: given.map((o) => f.node.inputs[o.input] ?? '') },
        inputs,
        axes: (i) => inputs[i]?.axes ?? f.decline(`input ${i} is missing`),
        constant: (i) => f.constant(given[i].input),
        integers: (i) => f.integers(given[i].input),
      }
      const [{ axes }] = own.flow(seen)
      if (!result) return [{ axes }]
      scaled(f, undefined, [result.scale, result.point])
      return [quantised(f, axes, result.point)]
    },
    macs: (c: CostContext) => own.macs({ ...c, inputDims: (i) => c.inputDims(of(c.node)[i]?.input ?? -1) }),
  })
}

/** The operand's axes as what they mean, its scale and zero point tied to them. */
function operand(f: FlowContext, { input, scale = -1, point = -1, along = 0 }: Operand) {
  const axes = f.axes(input)
  const axis = positive(along, axes.length)
  scaled(f, axes[axis], [scale, point])
  return point < 0 ? axes : meant(f, input, { scale, point, axis })
}

/** x, its scale and zero point, one after the other from input `i` on. */
const triple = (input: number, along = 0): Operand => ({ input, scale: input + 1, point: input + 2, along })

export const integers = [
  integer({
    op: 'ConvInteger',
    like: 'Conv',
    operands: [
      { input: 0, point: 2, along: 1 },
      { input: 1, point: 3 },
    ],
    weights: [1, 3],
  }),
  integer({
    op: 'MatMulInteger',
    like: 'MatMul',
    operands: [
      { input: 0, point: 2, along: -2 },
      { input: 1, point: 3, along: -1 },
    ],
    weights: [0, 1, 2, 3],
  }),
  integer({
    op: 'QLinearConv',
    like: 'Conv',
    operands: [triple(0, 1), triple(3), { input: 8 }],
    result: { scale: 6, point: 7 },
    weights: [3, 5, 8],
  }),
  integer({
    op: 'QLinearMatMul',
    like: 'MatMul',
    operands: [triple(0, -2), triple(3, -1)],
    result: { scale: 6, point: 7 },
    weights: [0, 2, 3, 5],
  }),
  integer({
    op: 'QGemm',
    domain: MICROSOFT,
    like: 'Gemm',
    operands: (node) => [triple(0), triple(3, intAttribute(node, 'transB', 0) === 1 ? 0 : 1), { input: 6 }],
    result: { scale: 7, point: 8 },
    weights: [3, 5, 6],
  }),
  ...['Add', 'Mul'].map((like) =>
    integer({
      op: `QLinear${like}`,
      domain: MICROSOFT,
      like,
      operands: [triple(0, -1), triple(3, -1)],
      result: { scale: 6, point: 7 },
      weights: [0, 3],
    }),
  ),
  ...['AveragePool', 'GlobalAveragePool', 'LeakyRelu', 'Sigmoid'].map((like) =>
    integer({
      op: `QLinear${like}`,
      domain: MICROSOFT,
      like,
      operands: [triple(0, 1)],
      result: { scale: 3, point: 4 },
    }),
  ),
  integer({
    op: 'QLinearConcat',
    domain: MICROSOFT,
    like: 'Concat',
    operands: (node) => Array.from({ length: (node.inputs.length - 2) / 3 }, (_, k) => triple(2 + 3 * k, 1)),
    result: { scale: 0, point: 1 },
  }),
]

export const packed = [
  leftWhole('QAttention', 'its projections are quantised side by side', MICROSOFT),
  leftWhole('MatMulNBits', 'its weights are packed by blocks of bits', MICROSOFT),
  leftWhole('GatherBlockQuantized', 'its weights are packed by blocks of bits', MICROSOFT),
  leftWhole('DynamicQuantizeLSTM', 'its weights are quantised by blocks of gates', MICROSOFT),
]
