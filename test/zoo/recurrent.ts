import { type Architecture, convBn, cut, maxPool, relu, sizeOf, transpose, view } from './layers.js'
import { Net } from './net.js'

/** nn.LSTM or nn.GRU over [length, batch, from], one layer, as PyTorch exports it: all hidden states, directions side by side. */
function recurrent(
  n: Net,
  op: 'LSTM' | 'GRU',
  x: string,
  from: number,
  hidden: number,
  both: boolean,
): string {
  const gates = op === 'LSTM' ? 4 : 3
  const directions = both ? 2 : 1
  const start = () => {
    const sizes = n.op('Concat', [n.ints([directions]), sizeOf(n, x, 1), n.ints([hidden])], { axis: 0 })
    return n.op('ConstantOfShape', [sizes])
  }
  const y = n.op(
    op,
    [
      x,
      n.weight([directions, gates * hidden, from], { fan: from }),
      n.weight([directions, gates * hidden, hidden], { fan: hidden }),
      n.weight([directions, 2 * gates * hidden], { fan: 10 }),
      '',
      start(),
      ...(op === 'LSTM' ? [start()] : []),
    ],
    {
      hidden_size: hidden,
      direction: both ? 'bidirectional' : 'forward',
      ...(op === 'GRU' ? { linear_before_reset: 1 } : {}),
    },
  )
  if (!both) return n.op('Squeeze', [y, n.ints([1])])
  return n.op('Reshape', [transpose(n, y, 0, 2, 1, 3), n.ints([0, 0, -1])])
}

/** Shi et al. 2017: convolutions to columns of features, two LSTMs in both directions, a classifier a column. */
function crnn() {
  const n = new Net('CRNN')
  let x = maxPool(n, convBn(n, n.input('x', ['n', 1, 8, 32]), 1, 10))
  x = maxPool(n, convBn(n, x, 10, 20))
  x = n.op('MaxPool', [convBn(n, x, 20, 20)], { kernel_shape: [2, 1], strides: [2, 1] })
  const columns = transpose(n, n.op('Squeeze', [x, n.ints([2])]), 2, 0, 1)
  let y = recurrent(n, 'LSTM', columns, 20, 20, true)
  y = recurrent(n, 'LSTM', y, 40, 20, true)
  const scores = n.op('Add', [n.op('MatMul', [y, n.weight([40, 12])]), n.weight([12])])
  return n.build(n.op('LogSoftmax', [scores], { axis: 2 }))
}

/** Cho et al. 2014, as keyword spotters use it: two GRU layers over frames, the last state classified. */
function gru() {
  const n = new Net('GRU')
  const frames = n.input('x', ['n', 12, 10])
  const wide = relu(n, n.op('Add', [n.op('MatMul', [frames, n.weight([10, 20])]), n.weight([20])]))
  const first = recurrent(n, 'GRU', transpose(n, wide, 1, 0, 2), 20, 30, false)
  const second = transpose(n, recurrent(n, 'GRU', first, 30, 20, false), 1, 0, 2)
  return n.build(n.dense(n.op('Gather', [second, n.int(-1)], { axis: 1 }), 20, 5))
}

/** Zhang et al. 2017: depthwise-separable convolutions over a spectrogram given as one row of samples. */
function dsCnn() {
  const n = new Net('DS-CNN')
  const image = view(n, n.input('x', ['n', 490]), -1, 1, 49, 10)
  let x = relu(n, n.batchNorm(n.conv(image, 1, 20, { k: [10, 4], stride: 2, pad: 2, bias: false }), 20))
  for (let i = 0; i < 3; i++) x = convBn(n, convBn(n, x, 20, 20, { group: 20 }), 20, 20, { k: 1 })
  return n.build(n.op('Softmax', [n.head(x, 20)], { axis: 1 }))
}

/** van den Oord et al. 2016: dilated causal convolutions, tanh · sigmoid, a residual and a skip from every layer. */
function waveNet() {
  const n = new Net('WaveNet')
  const [stream, gated, skip] = [20, 20, 30]
  let x = n.conv(n.input('x', ['n', 1, 64]), 1, stream, { k: [1] })
  const skips: string[] = []
  for (const dilation of [1, 2, 4, 8]) {
    const padded = n.op('Pad', [x, n.ints([0, 0, dilation, 0, 0, 0])])
    const both = n.conv(padded, stream, 2 * gated, { k: [2], dilation, pad: 0 })
    const filter = n.op('Tanh', [cut(n, both, 1, 0, gated)])
    const gate = n.op('Sigmoid', [cut(n, both, 1, gated, 2 * gated)])
    const z = n.op('Mul', [filter, gate])
    skips.push(n.conv(z, gated, skip, { k: [1] }))
    x = n.op('Add', [n.conv(z, gated, stream, { k: [1] }), x])
  }
  const sum = skips.reduce((a, b) => n.op('Add', [a, b]))
  const hidden = relu(n, n.conv(relu(n, sum), skip, 20, { k: [1] }))
  return n.build(n.conv(hidden, 20, 8, { k: [1] }))
}

export const sequences: readonly Architecture[] = [
  {
    name: 'CRNN',
    peculiarity: 'hidden units of LSTMs in two directions, four gates of each in one weight',
    make: crnn,
  },
  { name: 'GRU', peculiarity: 'hidden units of GRUs, three gates of each in one weight', make: gru },
  {
    name: 'DS-CNN',
    peculiarity: 'a row of samples reshaped to an image; kernels taller than wide',
    make: dsCnn,
  },
  {
    name: 'WaveNet',
    peculiarity: 'in one dimension: filter and gate cut from one convolution, skips summed over all layers',
    make: waveNet,
  },
]
