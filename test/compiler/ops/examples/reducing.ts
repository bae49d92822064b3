import { type Examples, map, reduced, through } from './through.js'

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
  ],
  ...Object.fromEntries(
    ['ReduceMean', 'ReduceMax', 'ReduceMin', 'ReduceProd', 'ReduceLogSum', 'ReduceLogSumExp'].map((op) => [
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
