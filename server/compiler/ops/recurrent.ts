import { intAttribute, type Node } from '../graph/index.js'
import { keepsZero } from './activation.js'
import { contract } from './conv.js'
import { defineOp, product, withZero } from './define.js'

/**
 * x[T,N,I] with W[D,gH,I], R[D,gH,H], B[D,2gH], lengths[N], initial h (and c) [D,N,H], peepholes[D,3H] → Y[T,D,N,H], last
 * h (and c) [D,N,H]. A hidden unit is one index of H in every gate, in both directions, for Y holds both side by side.
 *
 * Zeroing its weights is removing it: no other unit reads it, its column of R being zero. With initial states of zero
 * it is exactly zero as well where the functions that make it are zero at zero: an LSTM's c = σ(0)·0 + σ(0)·tanh(0),
 * a GRU's h = (1 − σ(0))·tanh(0) + σ(0)·0, with or without `linear_before_reset`.
 */
const recurrent = (op: string, gates: number) =>
  defineOp({
    op,
    flow(f) {
      if (intAttribute(f.node, 'layout', 0) !== 0) f.decline('its batch comes first')
      const [time, n, input] = f.axes(0)
      const [, , h] = f.axes(2)
      const gated = (count: number) => f.merge([f.fixed(count, 'gates'), h])
      f.freeze(time, 'each step reads the one before')
      contract(f, input, f.axes(1)[2])
      const stacked = [
        { input: 1, count: gates },
        { input: 2, count: gates },
        { input: 3, count: 2 * gates },
        { input: 7, count: 3 },
      ].filter((s) => f.inputs[s.input])
      for (const s of stacked) f.same(f.axes(s.input)[1], gated(s.count))
      const states = [5, 6].filter((i) => f.inputs[i])
      for (const i of states) {
        f.same(f.axes(i)[1], n)
        f.same(f.axes(i)[2], h)
      }
      if (f.inputs[4]) f.same(f.axes(4)[0], n)
      for (const i of [...stacked.map((s) => s.input), ...states])
        f.freeze(f.axes(i)[0], 'a direction is left whole')
      f.onPrune((kept, node) => node.attribute('hidden_size', kept.count(h)))
      const zero =
        stacked.every((s) => f.axes(s.input)[1].zero) &&
        states.every((i) => f.axes(i)[2].zero) &&
        statesKeepZero(f.node)
      if (!h.zero && !zero)
        f.freeze(h, 'units read each other: neither what one holds nor its column is zero')
      const hidden = withZero(h, zero)
      return f.node.outputs.map((_, i) => {
        const directions = f.fixed(f.axes(1)[0].atoms.length, 'directions')
        return { axes: i === 0 ? [time, directions, n, hidden] : [directions, n, hidden] }
      })
    },
    macs: (c) => product(c.inputDims(0).slice(0, 2)) * (product(c.inputDims(1)) + product(c.inputDims(2))),
  })

/** How many functions are named for one direction, and which of them must be zero at zero. */
const functions: Readonly<Record<string, { each: number; bends: readonly number[] }>> = {
  RNN: { each: 1, bends: [0] },
  GRU: { each: 2, bends: [1] },
  LSTM: { each: 3, bends: [1, 2] },
}

/** Whether states of zero stay zero where the weights, or what they read, and the biases are. */
export function statesKeepZero(node: Node): boolean {
  const named = node.attributes.get('activations')
  const { each, bends } = functions[node.op]
  return named?.type !== 'strings' || named.value.every((a, i) => !bends.includes(i % each) || keepsZero(a))
}

export const recurrences = [recurrent('RNN', 1), recurrent('GRU', 3), recurrent('LSTM', 4)]
