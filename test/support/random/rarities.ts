import { sizeOf } from '../../zoo/layers.js'
import type { Growth, Map4, Step } from './growth.js'

const one = (make: (g: Growth, x: Map4) => string): Step => {
  return (g) => {
    const x = g.last
    g.add(make(g, x), x.channels)
    return true
  }
}

/** Positions as rows: [n, channels, size, size] → [n, size², channels]. */
const rowsOf = (g: Growth, { name, channels }: Map4): string =>
  g.net.op('Transpose', [g.net.op('Reshape', [name, g.net.ints([0, channels, -1])])], { perm: [0, 2, 1] })

/** Rows of [n, size², channels] as a map again. */
const mapOf = (g: Growth, rows: string, channels: number, size: number): string =>
  g.net.op('Reshape', [
    g.net.op('Transpose', [rows], { perm: [0, 2, 1] }),
    g.net.ints([0, channels, size, size]),
  ])

/** What fewer networks have, but some do. */
export const rarities: Readonly<Record<string, Step>> = {
  'more activations': one((g, x) =>
    g.net.op(
      g.from([
        'Exp',
        'Selu',
        'Celu',
        'Softsign',
        'Sin',
        'Atan',
        'Sign',
        'Round',
        'Floor',
        'Ceil',
        'ThresholdedRelu',
        'Shrink',
      ]),
      [g.net.op('Tanh', [x.name])],
    ),
  ),
  'group norm': one((g, { name, channels, size }) => {
    const groups = g.from(Array.from({ length: channels }, (_, i) => i + 1).filter((d) => channels % d === 0))
    const apart = g.net.op('Reshape', [name, g.net.ints([0, groups, -1])])
    const ones = g.net.floats([groups], new Float32Array(groups).fill(1))
    const zeros = g.net.floats([groups], new Float32Array(groups))
    const normal = g.net.op('InstanceNormalization', [apart, ones, zeros])
    const back = g.net.op('Reshape', [normal, g.net.ints([0, channels, size, size])])
    return g.net.op('Add', [
      g.net.op('Mul', [back, g.net.weight([channels, 1, 1])]),
      g.net.weight([channels, 1, 1]),
    ])
  }),
  'unit length over channels': one((g, x) =>
    g.net.op('LpNormalization', [x.name], { axis: g.from([1, -1]), p: g.from([1, 2]) }),
  ),
  'mean and variance': one((g, x) =>
    g.net.op('MeanVarianceNormalization', [x.name], {
      axes: g.from([
        [0, 2, 3],
        [2, 3],
      ]),
    }),
  ),
  'running sum': one((g, x) => g.net.op('CumSum', [x.name, g.net.int(g.from([1, 2]))])),
  'largest channels': one((g, x) => {
    const [values] = g.net.ops('TopK', [x.name, g.net.ints([x.channels])], 2, { axis: 1 })
    return values
  }),
  'where the largest is': one((g, x) => {
    const at = g.net.op('Cast', [g.net.op('ArgMax', [x.name], { axis: g.from([1, 2]) })], { to: 1 })
    return g.net.op('Add', [x.name, at])
  }),
  'one of the largest': one((g, x) => g.net.op('Hardmax', [x.name], { axis: g.from([1, 3]) })),
  'reductions as a gate': one((g, x) => {
    const op = g.from(['ReduceMin', 'ReduceL1', 'ReduceSumSquare', 'ReduceLogSumExp', 'ReduceProd'])
    const reduced = g.net.op(op, [x.name], { axes: g.from([[1], [2, 3], [3], [1, 2, 3]]) })
    return g.net.op('Mul', [x.name, g.net.op('Sigmoid', [reduced])])
  }),
  'global pool as a gate': one((g, x) => {
    const pooled = g.net.op(g.from(['GlobalMaxPool', 'GlobalLpPool']), [x.name])
    return g.net.op('Mul', [x.name, g.net.op('Tanh', [pooled])])
  }),
  'tiled and summed': one((g, x) => {
    const twice = g.net.op('Tile', [x.name, g.net.ints([1, 2, 1, 1])])
    const [a, b] = g.net.ops('Split', [twice], 2, { axis: 1 })
    return g.net.op(g.from(['Sum', 'Mean', 'Add']), [a, g.net.op('Sigmoid', [b])])
  }),
  'in double precision': one((g, x) =>
    g.net.op(
      'Cast',
      [g.net.op('Mul', [g.net.op('Cast', [x.name], { to: 11 }), g.net.op('Cast', [x.name], { to: 11 })])],
      { to: 1 },
    ),
  ),
  'power of two': one((g, x) => g.net.op('Pow', [x.name, g.net.scalar(g.from([2, 3]))])),
  'left alone': one((g, x) => g.net.op(g.from(['Dropout', 'Identity']), [x.name])),
  'lower triangle': one((g, x) => g.net.op('Trilu', [x.name], { upper: g.pick(2) })),
  'einsum over channels'(g) {
    const { name, channels } = g.last
    const to = 2 + g.pick(6)
    g.add(g.net.op('Einsum', [name, g.net.weight([to, channels])], { equation: 'nchw,oc->nohw' }), to)
    return true
  },
  'einsum attention': one((g, x) => {
    const rows = rowsOf(g, x)
    const scores = g.net.op('Einsum', [rows, rows], { equation: 'nic,njc->nij' })
    const seen = g.net.op('Einsum', [g.net.op('Softmax', [scores], { axis: -1 }), rows], {
      equation: 'nij,njc->nic',
    })
    return mapOf(g, seen, x.channels, x.size)
  }),
  'recurrence over positions'(g) {
    const x = g.last
    if (x.size > 4) return false
    const hidden = 2 + g.pick(4)
    const op = g.from(['LSTM', 'GRU', 'RNN'])
    const gates = { LSTM: 4, GRU: 3, RNN: 1 }[op] ?? 1
    const steps = g.net.op('Transpose', [rowsOf(g, x)], { perm: [1, 0, 2] })
    const y = g.net.op(
      op,
      [
        steps,
        g.net.weight([1, gates * hidden, x.channels]),
        g.net.weight([1, gates * hidden, hidden]),
        g.net.weight([1, 2 * gates * hidden]),
      ],
      { hidden_size: hidden },
    )
    const rows = g.net.op('Transpose', [g.net.op('Squeeze', [y, g.net.ints([1])])], { perm: [1, 0, 2] })
    g.add(mapOf(g, rows, hidden, x.size), hidden)
    return true
  },
  'flat and back': one((g, { name, channels, size }) => {
    const all = channels * size * size
    if (all > 200) return g.net.op('Relu', [name])
    const hidden = 2 + g.pick(8)
    const h = g.net.op('Relu', [g.net.dense(g.net.op('Flatten', [name]), all, hidden)])
    return g.net.op('Reshape', [g.net.dense(h, hidden, all), g.net.ints([-1, channels, size, size])])
  }),
  'sizes from the value itself': one((g, { name, channels, size }) => {
    const n = sizeOf(g.net, name, 0)
    const c = g.pick(2) === 0 ? sizeOf(g.net, name, 1) : g.net.ints([channels])
    const flat = g.net.op('Reshape', [name, g.net.op('Concat', [n, c, g.net.ints([-1])], { axis: 0 })])
    const sizes = g.net.op('Concat', [n, c, g.net.ints([size]), g.net.ints([size])], { axis: 0 })
    return g.net.op('Reshape', [g.net.op('Neg', [flat]), sizes])
  }),
  'zeros of the same shape': one((g, x) => {
    const zeros = g.net.op('ConstantOfShape', [g.net.op('Shape', [x.name])])
    return g.net.op(g.from(['Add', 'Max']), [x.name, zeros])
  }),
  'channels scattered': one((g, x) => {
    const w = g.net.weight([1, 1, x.size, x.size])
    const one = g.net.op('Expand', [
      w,
      g.net.op('Concat', [sizeOf(g.net, x.name, 0), g.net.ints([1, x.size, x.size])], { axis: 0 }),
    ])
    const rest = g.net.op('Slice', [x.name, g.net.ints([1]), g.net.ints([x.channels]), g.net.ints([1])])
    return g.net.op('Concat', [one, rest], { axis: 1 })
  }),
}
