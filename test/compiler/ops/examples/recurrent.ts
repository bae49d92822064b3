import type { Net } from '../../../zoo/index.js'
import { CHANNELS, type Example, type Examples, through, withChannelsAfter } from './through.js'

const HIDDEN = 5

interface Variant {
  readonly directions?: number
  readonly state?: 'zero' | 'learned'
  readonly peepholes?: boolean
  readonly attributes?: Readonly<Record<string, number | readonly string[] | string>>
  /** Sums of the hidden channels enter the network too: they are right only where a removed unit is exactly zero. */
  readonly summed?: boolean
  readonly groups?: readonly number[]
}

/** Channels at each position through a recurrence of `gates` gates, and back to channels. */
function recurring(op: string, gates: number, variant: Variant = {}): Example {
  const { directions = 1, state, peepholes = false, attributes = {}, summed = false, groups } = variant
  const channels = directions * HIDDEN
  const example = through(
    (n, h) => {
      const steps = n.op('Transpose', [n.op('Reshape', [h, n.ints([0, 0, -1])])], { perm: [2, 0, 1] })
      const w = (...dims: number[]) => n.weight([directions, ...dims])
      const initial = initialState(n, directions, state)
      const inputs = [
        steps,
        w(gates * HIDDEN, CHANNELS),
        w(gates * HIDDEN, HIDDEN),
        w(2 * gates * HIDDEN),
        '',
        initial,
        ...(op === 'LSTM' ? [initial, peepholes ? w(3 * HIDDEN) : ''] : []),
      ]
      const direction = directions === 2 ? 'bidirectional' : 'forward'
      const y = n.op(op, inputs, { hidden_size: HIDDEN, direction, ...attributes })
      const joined = n.op('Reshape', [
        n.op('Transpose', [y], { perm: [2, 1, 3, 0] }),
        n.ints([0, channels, 4, 4]),
      ])
      return summed ? n.op('Mul', [joined, n.op('ReduceSum', [joined, n.ints([1])])]) : joined
    },
    { channels },
  )
  return groups ? { ...example, groups: withChannelsAfter(groups) } : example
}

const initialState = (n: Net, directions: number, state: Variant['state']) =>
  state === 'learned'
    ? n.op('Expand', [n.weight([directions, 1, HIDDEN]), n.ints([directions, 2, HIDDEN])])
    : state === 'zero'
      ? n.op('ConstantOfShape', [n.ints([directions, 2, HIDDEN])])
      : ''

const hidden = [HIDDEN, CHANNELS]

export const recurrent: Examples = {
  LSTM: [
    recurring('LSTM', 4, { groups: hidden }),
    recurring('LSTM', 4, { groups: hidden, directions: 2, summed: true }),
    recurring('LSTM', 4, { groups: hidden, state: 'zero', peepholes: true, summed: true }),
    recurring('LSTM', 4, { groups: hidden, directions: 2, state: 'learned' }),
    recurring('LSTM', 4, { attributes: { activations: ['Sigmoid', 'Sigmoid', 'Tanh'] }, summed: true }),
  ],
  GRU: [
    recurring('GRU', 3, { groups: hidden, summed: true }),
    recurring('GRU', 3, {
      groups: hidden,
      directions: 2,
      summed: true,
      attributes: { linear_before_reset: 1 },
    }),
    recurring('GRU', 3, { groups: hidden, state: 'learned' }),
  ],
  RNN: [
    recurring('RNN', 1, { groups: hidden, directions: 2, summed: true }),
    recurring('RNN', 1, { groups: hidden, attributes: { activations: ['Relu'] } }),
  ],
}
