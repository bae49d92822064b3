import type { Net } from '../../../zoo/index.js'
import { CHANNELS, channelsLast, type Examples, map, reduced, through } from './through.js'

/** (h − mean) over the deviation of channels, which `mean` and `squared` spell; then times one weight a channel. */
const centred = (mean: (n: Net, x: string) => string, squared: (n: Net, d: string) => string, opset = 17) =>
  through(
    (n, h) => {
      const d = n.op('Sub', [h, mean(n, h)])
      const deviation = n.op('Sqrt', [n.op('Add', [mean(n, squared(n, d)), n.scalar(1e-5)])])
      return n.op('Mul', [n.op('Div', [d, deviation]), n.weight([CHANNELS, 1, 1], { around: 1 })])
    },
    { opset },
  )
const square = (n: Net, d: string) => n.op('Mul', [d, d])
const byPower = (n: Net, d: string) => n.op('Pow', [d, n.scalar(2)])

export const reducing: Examples = {
  ...Object.fromEntries(
    ['AveragePool', 'MaxPool', 'LpPool'].map((op) => [
      op,
      [map(op, 17, { kernel_shape: [2, 2], strides: [2, 2] })],
    ]),
  ),
  ...Object.fromEntries(['GlobalAveragePool', 'GlobalMaxPool', 'GlobalLpPool'].map((op) => [op, [map(op)]])),
  ReduceSum: [
    reduced('ReduceSum', [2, 3], true),
    reduced('ReduceSum', [1], true),
    through((n, h) => n.op('Mul', [h, n.op('ReduceSum', [n.op('Exp', [h]), n.ints([1])])]), { open: false }),
    centred(
      (n, x) => n.op('Div', [n.op('ReduceSum', [x, n.ints([1])]), n.scalar(CHANNELS)]),
      (n, d) => n.op('Abs', [d]),
    ),
  ],
  ReduceMean: [
    reduced('ReduceMean', [2, 3], true),
    reduced('ReduceMean', [1], false),
    centred((n, x) => n.op('ReduceMean', [x], { axes: [1] }), byPower),
    centred((n, x) => n.op('ReduceMean', [x, n.ints([1])]), square, 18),
    // The mean is taken away the other way round, and what was squared loses its dimension.
    channelsLast((n, h) => {
      const mean = n.op('ReduceMean', [h], { axes: [-1] })
      const squares = byPower(n, n.op('Sub', [mean, h]))
      const variance = n.op('Unsqueeze', [
        n.op('ReduceMean', [squares], { axes: [3], keepdims: 0 }),
        n.ints([3]),
      ])
      return n.op('Div', [h, n.op('Add', [variance, n.scalar(1)])])
    }),
    // Over positions, as over channels.
    through((n, h) => {
      const d = n.op('Sub', [h, n.op('ReduceMean', [h], { axes: [2, 3] })])
      const variance = n.op('ReduceMean', [byPower(n, d)], { axes: [2, 3] })
      return n.op('Div', [d, n.op('Sqrt', [n.op('Add', [variance, n.scalar(1e-5)])])])
    }),
    // Root mean square over the channels, and a gate by their mean, of which the removed are exactly zero.
    through((n, h) => {
      const mean = n.op('ReduceMean', [n.op('Mul', [h, h])], { axes: [1] })
      return n.op('Div', [h, n.op('Sqrt', [n.op('Add', [mean, n.scalar(1e-5)])])])
    }),
    through((n, h) => n.op('Mul', [h, n.op('Sigmoid', [n.op('ReduceMean', [h], { axes: [1] })])]), {
      opset: 13,
    }),
    // Squares over channels and positions: two dimensions at once are not followed.
    through(
      (n, h) => {
        const d = n.op('Sub', [h, n.op('ReduceMean', [h], { axes: [1] })])
        return n.op('Mul', [h, n.op('ReduceMean', [square(n, d)], { axes: [1, 2] })])
      },
      { open: false },
    ),
    // Removed channels hold what differs from channel to channel: nothing is known of them.
    through(
      (n, h) => {
        const d = n.op('Add', [n.op('Exp', [h]), n.weight([CHANNELS, 1, 1])])
        return n.op('Mul', [h, n.op('ReduceMean', [d], { axes: [1] })])
      },
      { open: false },
    ),
  ],
  ...Object.fromEntries(
    ['ReduceMax', 'ReduceMin', 'ReduceProd', 'ReduceLogSum', 'ReduceLogSumExp'].map((op) => [
      op,
      [reduced(op, [2, 3], true), reduced(op, [1], false)],
    ]),
  ),
  ...Object.fromEntries(
    ['ReduceL1', 'ReduceL2', 'ReduceSumSquare'].map((op) => [
      op,
      [
        reduced(op, [2, 3], true),
        through((n, h) => n.op('Div', [h, n.op('Add', [n.op(op, [h], { axes: [1] }), n.scalar(1)])])),
      ],
    ]),
  ),
  ...Object.fromEntries(
    ['ArgMax', 'ArgMin'].map((op) => [
      op,
      [
        through((n, h) => n.op('Cast', [n.op(op, [h], { axis: 2 })], { to: 1 })),
        through((n, h) => n.op('Mul', [h, n.op('Cast', [n.op(op, [h], { axis: 1 })], { to: 1 })]), {
          open: false,
        }),
      ],
    ]),
  ),
}
