import type { Graph } from '@espalier/server/compiler/graph/index.js'
import { Net } from './net.js'

/** Two convolutions with batch normalisation, pooling and a classifier. */
export function plain(): Graph {
  const n = new Net('plain')
  let x = n.input('x', ['n', 3, 8, 8])
  x = n.op('Relu', [n.batchNorm(n.conv(x, 3, 8, { bias: false }), 8)])
  x = n.op('MaxPool', [x], { kernel_shape: [2, 2], strides: [2, 2] })
  x = n.op('Relu', [n.conv(x, 8, 6)])
  return n.build(n.head(x, 6))
}

/** MobileNetV3's block: expand, depthwise, squeeze-and-excite, project, around it a residual. Hard-swish spelled out. */
export function invertedResidual(): Graph {
  const n = new Net('inverted residual')
  const hardSwish = (x: string) => {
    const gate = n.op('Clip', [n.op('Add', [x, n.scalar(3)]), n.scalar(0), n.scalar(6)])
    return n.op('Div', [n.op('Mul', [x, gate]), n.scalar(6)])
  }
  const x = n.input('x', ['n', 3, 8, 8])
  const stem = hardSwish(n.conv(x, 3, 6))
  const wide = hardSwish(n.batchNorm(n.conv(stem, 6, 12, { k: 1 }), 12))
  const deep = n.op('HardSwish', [n.conv(wide, 12, 12, { group: 12 })])
  const squeezed = n.op('Relu', [n.conv(n.op('GlobalAveragePool', [deep]), 12, 4, { k: 1 })])
  const excited = n.op('Mul', [deep, n.op('HardSigmoid', [n.conv(squeezed, 4, 12, { k: 1 })])])
  const out = n.op('Add', [stem, n.conv(excited, 12, 6, { k: 1 })])
  return n.build(n.op('Softmax', [n.head(out, 6)]))
}

/** The shortcut of a widening stage: every other position, channels padded with zeros. */
export function paddedShortcut(): Graph {
  const n = new Net('padded shortcut')
  const x = n.op('Relu', [n.conv(n.input('x', ['n', 3, 8, 8]), 3, 6)])
  const short = n.op('Slice', [x, n.ints([0, 0]), n.ints([8, 8]), n.ints([2, 3]), n.ints([2, 2])])
  const padded = n.op('Pad', [short, n.ints([0, 2, 0, 0, 0, 3, 0, 0])])
  return n.build(n.head(n.op('Relu', [n.op('Add', [padded, n.conv(x, 6, 11, { stride: 2 })])]), 11))
}

/** Branches appended along channels, then cut into parts of other sizes. */
export function concatSplit(): Graph {
  const n = new Net('concat and split')
  const x = n.input('x', ['n', 3, 6, 6])
  const both = n.op('Concat', [n.conv(x, 3, 5), n.conv(x, 3, 7)], { axis: 1 })
  const [a, b] = n.ops('Split', [n.op('Relu', [both]), n.ints([8, 4])], 2, { axis: 1 })
  const sliced = n.op('Slice', [a, n.ints([1]), n.ints([5]), n.ints([1])])
  const y = n.op('Add', [n.conv(sliced, 4, 6), n.conv(n.op('Sigmoid', [b]), 4, 6)])
  return n.build(n.head(y, 6))
}

/** Groups of channels that do not see each other. */
export function groupedConvolution(): Graph {
  const n = new Net('grouped convolution')
  const x = n.op('Relu', [n.conv(n.input('x', ['n', 3, 6, 6]), 3, 12)])
  const y = n.op('Relu', [n.conv(x, 12, 8, { group: 4 })])
  return n.build(n.head(n.conv(y, 8, 6, { k: 1 }), 6))
}

/** ShuffleNet's unit: grouped convolutions, between them a shuffle by Reshape, Transpose, Reshape. */
export function channelShuffle(): Graph {
  const n = new Net('channel shuffle')
  const x = n.op('Relu', [n.conv(n.input('x', ['n', 3, 6, 6]), 3, 12, { k: 1 })])
  const apart = n.op('Reshape', [x, n.ints([-1, 3, 4, 6, 6])])
  const turned = n.op('Transpose', [apart], { perm: [0, 2, 1, 3, 4] })
  const shuffled = n.op('Reshape', [turned, n.ints([-1, 12, 6, 6])])
  const y = n.op('Relu', [n.conv(shuffled, 12, 12, { group: 12 })])
  return n.build(n.head(n.conv(y, 12, 6, { k: 1 }), 6))
}

/** Channels last, convolutions between transposes, as converters from TensorFlow write them. */
export function channelsLast(): Graph {
  const n = new Net('channels last')
  const first = (x: string) => n.op('Transpose', [x], { perm: [0, 3, 1, 2] })
  const last = (x: string) => n.op('Transpose', [x], { perm: [0, 2, 3, 1] })
  let x = n.input('x', ['n', 6, 6, 3])
  x = n.op('Add', [last(n.conv(first(x), 3, 8, { bias: false })), n.weight([8])])
  const fill = n.op('ConstantOfShape', [n.ints([2, 6, 6, 4])])
  x = n.op('Concat', [n.op('Relu', [x]), fill], { axis: 3 })
  const y = last(n.conv(first(x), 12, 12))
  return n.build(
    n.dense(n.op('Flatten', [n.op('ReduceMean', [n.op('Add', [x, y])], { axes: [1, 2] })]), 12, 5),
  )
}

/** Down and up again, with a skip. */
export function upsampling(): Graph {
  const n = new Net('upsampling')
  const x = n.op('Relu', [n.conv(n.input('x', ['n', 3, 8, 8]), 3, 6)])
  const down = n.op('Relu', [n.conv(x, 6, 8, { stride: 2 })])
  const up = n.op('ConvTranspose', [down, n.weight([8, 6, 2, 2]), n.weight([6])], { strides: [2, 2] })
  const wide = n.op('Resize', [
    down,
    '',
    n.constant('r', { dtype: 'float32', dims: [4], data: Float32Array.of(1, 1, 2, 2) }),
  ])
  return n.build(n.conv(n.op('Concat', [n.op('Add', [x, up]), wide], { axis: 1 }), 14, 2))
}

/** One weight in two layers, one bias shared by strangers. */
export function sharedWeights(): Graph {
  const n = new Net('shared weights')
  const w = n.weight([6, 6, 1, 1])
  const bias = n.weight([6])
  const x = n.conv(n.input('x', ['n', 3, 5, 5]), 3, 6)
  const y = n.op('Relu', [n.op('Conv', [n.op('Relu', [x]), w, bias])])
  const z = n.op('Relu', [n.op('Conv', [y, n.weight([6, 6, 1, 1]), bias])])
  return n.build(n.head(n.op('Conv', [n.op('Conv', [z, w]), w]), 6))
}
