import { floatAttribute, intAttribute, type Node, stringAttribute } from '../../graph/index.js'
import type { Builder } from '../gradients/index.js'
import { activationNamed } from './activation.js'
import type { Lowering, LoweringPlace, Lowerings } from './rule.js'

/** Applies the functions that one direction names, in their order. */
type Functions = readonly ((x: string) => string)[]

/** One direction's weights: w and r [gates · hidden, …], the joint bias of each, peepholes. '' where absent. */
interface Weights {
  readonly w: string
  readonly r: string
  readonly inputBias: string
  readonly stateBias: string
  readonly peepholes: string
}

/** What one step does: from what the input gives, [batch, gates · hidden] with its bias, and the state to the next. */
type Step = (
  g: Builder,
  n: Node,
  hidden: number,
  w: Weights,
  f: Functions,
) => (input: string, state: State) => State

interface State {
  readonly h: string
  /** Of an LSTM. */
  readonly c?: string
}

const gates = (g: Builder, x: string, hidden: number, from: number, to = from + 1) =>
  g.slice(x, [1], [from * hidden], [to * hidden])

const plus = (g: Builder, x: string, bias: string) => (bias ? g.add(x, bias) : x)
const times = (g: Builder, x: string, w: string) => g.op('Gemm', [x, w], { transB: 1 })

/** Sums are cut to ±clip before their function, if that is asked for. */
function clipped(g: Builder, n: Node, x: string): string {
  const most = floatAttribute(n, 'clip', 0)
  return most > 0 ? g.op('Clip', [x, g.scalar(-most), g.scalar(most)]) : x
}

const rnn: Step =
  (g, n, _, w, [f]) =>
  (input, { h }) => {
    const sum = plus(g, g.add(input, times(g, h, w.r)), w.stateBias)
    return { h: f(clipped(g, n, sum)) }
  }

/** Gates in the order update, reset, hidden. */
const gru: Step = (g, n, hidden, w, [f, act]) => {
  const early = intAttribute(n, 'linear_before_reset', 0) === 1
  const rows = (x: string, from: number, to: number) =>
    x ? g.slice(x, [0], [from * hidden], [to * hidden]) : ''
  const [rzr, rh] = [rows(w.r, 0, 2), rows(w.r, 2, 3)]
  const [bzr, bh] = [rows(w.stateBias, 0, 2), rows(w.stateBias, 2, 3)]
  return (input, { h }) => {
    const zr = f(clipped(g, n, plus(g, g.add(gates(g, input, hidden, 0, 2), times(g, h, rzr)), bzr)))
    const [z, r] = [gates(g, zr, hidden, 0), gates(g, zr, hidden, 1)]
    const state = early ? g.mul(r, plus(g, times(g, h, rh), bh)) : plus(g, times(g, g.mul(r, h), rh), bh)
    const now = act(clipped(g, n, g.add(gates(g, input, hidden, 2), state)))
    return { h: g.add(now, g.mul(z, g.sub(h, now))) }
  }
}

/** Gates in the order input, output, forget, cell; peepholes input, output, forget. */
const lstm: Step = (g, n, hidden, w, [f, act, out]) => {
  const coupled = intAttribute(n, 'input_forget', 0) === 1
  const peep = (i: number) => (w.peepholes ? g.slice(w.peepholes, [0], [i * hidden], [(i + 1) * hidden]) : '')
  const [pi, po, pf] = [peep(0), peep(1), peep(2)]
  const seen = (x: string, p: string, c: string) => (p ? g.add(x, g.mul(p, c)) : x)
  return (input, { h, c = '' }) => {
    const sums = plus(g, g.add(input, times(g, h, w.r)), w.stateBias)
    const sum = (i: number) => gates(g, sums, hidden, i)
    const i = f(clipped(g, n, seen(sum(0), pi, c)))
    const forget = coupled ? g.sub(g.scalar(1), i) : f(clipped(g, n, seen(sum(2), pf, c)))
    const cell = g.add(g.mul(forget, c), g.mul(i, act(clipped(g, n, sum(3)))))
    const o = f(clipped(g, n, seen(sum(1), po, cell)))
    return { h: g.mul(o, out(cell)), c: cell }
  }
}

const parameters: Readonly<Record<string, readonly [alpha: boolean, beta: boolean]>> = {
  affine: [true, true],
  leakyrelu: [true, false],
  thresholdedrelu: [true, false],
  scaledtanh: [true, true],
  hardsigmoid: [true, true],
  elu: [true, false],
}

/** The functions of every direction; parameters are dealt out in the order of those that take any. */
function functionsOf(
  { g, node }: LoweringPlace,
  standard: readonly string[],
  directions: number,
): Functions[] | undefined {
  const named = node.attributes.get('activations')
  const names =
    named?.type === 'strings' ? named.value : Array.from({ length: directions }, () => standard).flat()
  const list = (key: string) => {
    const a = node.attributes.get(key)
    return a?.type === 'floats' || a?.type === 'ints' ? [...a.value] : []
  }
  const [alphas, betas] = [list('activation_alpha'), list('activation_beta')]
  const made = names.flatMap((name) => {
    const [alpha, beta] = parameters[name.toLowerCase()] ?? [false, false]
    const given = [alpha ? alphas.shift() : undefined, beta ? betas.shift() : undefined]
    const activation = activationNamed(name)
    return activation ? [(x: string) => activation(g, x, ...given)] : []
  })
  if (made.length < names.length) return undefined
  const each = made.length / directions
  return Array.from({ length: directions }, (_, d) => made.slice(d * each, (d + 1) * each))
}

/**
 * Recurrences written out step by step: what the inputs give is one product for all steps, what the state gives one a
 * step. Sequences shorter than the longest stay at their last state and give zeros.
 */
const unrolled =
  (count: number, step: Step, standard: readonly string[]): Lowering =>
  (place) => {
    const { g, node, shape } = place
    const [given, w, r, b, lengths, h0, c0, p] = node.inputs
    const first = intAttribute(node, 'layout', 0) === 1
    const x = first ? g.transpose(given, [1, 0, 2]) : given
    const [time, batch, width] = first
      ? shape(given).with(0, shape(given)[1]).with(1, shape(given)[0])
      : shape(given)
    const [directions, , hidden] = shape(r)
    const functions = functionsOf(place, standard, directions)
    if (!functions) return undefined
    const kind = stringAttribute(node, 'direction', 'forward')
    const cell = count === 4
    const ends: State[] = []
    const all = functions.map((f, d) => {
      const own = (v: string | undefined, dims: readonly number[]) =>
        v ? g.reshape(directions === 1 ? v : g.slice(v, [0], [d], [d + 1]), dims) : ''
      const gated = count * hidden
      const joint = own(b, [2 * gated])
      const weights: Weights = {
        w: own(w, [gated, width]),
        r: own(r, [gated, hidden]),
        inputBias: joint && g.slice(joint, [0], [0], [gated]),
        stateBias: joint && g.slice(joint, [0], [gated], [2 * gated]),
        peepholes: own(p, [3 * hidden]),
      }
      const backwards = kind === 'reverse' || d === 1
      const turn = (v: string) =>
        backwards
          ? g.op(
              'ReverseSequence',
              [v, lengths ? g.cast(lengths, 'int64') : g.ints(Array(batch).fill(time))],
              {
                time_axis: 0,
                batch_axis: 1,
              },
            )
          : v
      const start = (v: string | undefined) => {
        if (!v) return g.zeros([batch, hidden])
        const picked = directions === 1 ? v : g.slice(v, [first ? 1 : 0], [d], [d + 1])
        return g.reshape(picked, [batch, hidden])
      }
      const flat = g.reshape(turn(x), [time * batch, width])
      const projected = plus(g, times(g, flat, weights.w), weights.inputBias)
      const next = step(g, node, hidden, weights, f)
      let state: State = cell ? { h: start(h0), c: start(c0) } : { h: start(h0) }
      const outputs: string[] = []
      for (let t = 0; t < time; t++) {
        const after = next(g.slice(projected, [0], [t * batch], [(t + 1) * batch]), state)
        if (!lengths) {
          state = after
          outputs.push(after.h)
          continue
        }
        const isInside = g.reshape(g.op('Greater', [g.cast(lengths, 'int64'), g.ints([t])]), [batch, 1])
        const kept = (now: string, before: string) => g.where(isInside, now, before)
        outputs.push(kept(after.h, g.scalar(0)))
        state = { h: kept(after.h, state.h), c: after.c && state.c ? kept(after.c, state.c) : undefined }
      }
      ends.push(state)
      const stacked = outputs.map((h) => g.reshape(h, [1, batch, hidden]))
      return turn(stacked.length === 1 ? stacked[0] : g.op('Concat', stacked, { axis: 0 }))
    })
    const joinedBy = (values: readonly string[], dims: readonly number[], axis: number) => {
      const each = values.map((v) => g.reshape(v, dims))
      return each.length === 1 ? each[0] : g.op('Concat', each, { axis })
    }
    const y = joinedBy(all, [time, 1, batch, hidden], 1)
    const last = (values: readonly string[]) =>
      first ? joinedBy(values, [batch, 1, hidden], 1) : joinedBy(values, [1, batch, hidden], 0)
    const outputs = [first ? g.transpose(y, [2, 0, 1, 3]) : y, last(ends.map((e) => e.h))]
    return cell ? [...outputs, last(ends.map((e) => e.c ?? ''))] : outputs
  }

export const recurrents: Lowerings = {
  RNN: unrolled(1, rnn, ['Tanh']),
  GRU: unrolled(3, gru, ['Sigmoid', 'Tanh']),
  LSTM: unrolled(4, lstm, ['Sigmoid', 'Tanh', 'Tanh']),
}
