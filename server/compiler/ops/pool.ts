import { type Axis, defineOp, type FlowContext, noMacs } from './define.js'

/** x[N,C,…] → y[N,C,…]: channels go through, positions mix. */
const pool = (op: string) =>
  defineOp({
    op,
    flow: (f) => f.node.outputs.map((_, i) => ({ axes: pooled(f, i) })),
    macs: noMacs,
  })

function pooled(f: FlowContext, output: number): Axis[] {
  const [n, c, ...positions] = f.axes(0)
  f.freeze(positions, 'pooling mixes positions')
  const sizes = f.outputDims(output).slice(2)
  // A second output holds indices into the whole input: they would shift.
  if (output > 0) f.freeze(c, 'positions of its maxima are counted across channels')
  return [n, c, ...sizes.map((size) => f.fixed(size, 'positions of a pool'))]
}

export const pools = [
  'AveragePool',
  'GlobalAveragePool',
  'GlobalLpPool',
  'GlobalMaxPool',
  'LpPool',
  'MaxPool',
].map(pool)
