import { node, type Tensor } from '@espalier/server/compiler/graph/index.js'
import { type Case, y } from './check.js'

const [TIME, BATCH, WIDTH, HIDDEN] = [4, 2, 3, 2]
const lengths: Tensor = { dtype: 'int32', dims: [BATCH], data: Int32Array.of(4, 2) }

interface Variant {
  readonly directions?: number
  readonly attributes?: Parameters<typeof node>[3]
  readonly more?: readonly string[]
  readonly peepholes?: boolean
  readonly lengths?: boolean
  readonly batchFirst?: boolean
}

/** All weights, states and inputs are differentiated for; the last states are read as well. */
function recurring(what: string, op: string, gates: number, v: Variant = {}): Case {
  const { directions = 1, attributes = {}, peepholes = false, batchFirst = false } = v
  const states = batchFirst ? [BATCH, directions, HIDDEN] : [directions, BATCH, HIDDEN]
  const cell = op === 'LSTM'
  const inputs: Record<string, readonly number[]> = {
    x: batchFirst ? [BATCH, TIME, WIDTH] : [TIME, BATCH, WIDTH],
    w: [directions, gates * HIDDEN, WIDTH],
    r: [directions, gates * HIDDEN, HIDDEN],
    b: [directions, 2 * gates * HIDDEN],
    h: states,
    ...(cell ? { c: states } : {}),
    ...(peepholes ? { p: [directions, 3 * HIDDEN] } : {}),
  }
  const given = [
    'x',
    'w',
    'r',
    'b',
    v.lengths ? 'lengths' : '',
    'h',
    ...(cell ? ['c'] : []),
    ...(peepholes ? ['p'] : []),
  ]
  const outputs = ['all', 'last', ...(cell ? ['cell'] : [])]
  const direction = directions === 2 ? 'bidirectional' : 'forward'
  const own = { hidden_size: HIDDEN, direction, ...(batchFirst ? { layout: 1 } : {}), ...attributes }
  return {
    what: `${op} ${what}`,
    nodes: [
      node(op, given, outputs, own),
      node('ReduceSum', ['all'], ['a'], { keepdims: 0 }),
      y('Sum', ['a', ...outputs.slice(1)]),
    ],
    inputs,
    constants: v.lengths ? { lengths } : undefined,
    within: [-0.9, 0.9],
    lowered: true,
  }
}

export const recurrences: readonly Case[] = [
  recurring('', 'LSTM', 4),
  recurring('in both directions', 'LSTM', 4, { directions: 2 }),
  recurring('backwards, of sequences of several lengths', 'LSTM', 4, {
    attributes: { direction: 'reverse' },
    lengths: true,
  }),
  recurring('with peepholes and coupled gates', 'LSTM', 4, {
    peepholes: true,
    attributes: { input_forget: 1 },
  }),
  recurring('with functions of its own, cut', 'LSTM', 4, {
    attributes: {
      activations: ['HardSigmoid', 'Softsign', 'ScaledTanh'],
      activation_alpha: [0.3, 1.5],
      activation_beta: [0.4, 0.7],
      clip: 2.5,
    },
  }),
  recurring('', 'GRU', 3),
  recurring('in both directions, of several lengths', 'GRU', 3, { directions: 2, lengths: true }),
  recurring('with the reset after the product', 'GRU', 3, { attributes: { linear_before_reset: 1 } }),
  recurring('in both directions', 'RNN', 1, { directions: 2 }),
  recurring('with LeakyRelu', 'RNN', 1, {
    attributes: { activations: ['LeakyRelu'], activation_alpha: [0.2] },
  }),
]
