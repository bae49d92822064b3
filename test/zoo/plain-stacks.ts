import { type Architecture, convBn, maxPool, relu } from './layers.js'
import { lenet5 } from './lenet5.js'
import { Net } from './net.js'

/** Simonyan & Zisserman 2015: stages of 3×3 convolutions, then dense layers over flattened positions. */
function vgg() {
  const n = new Net('VGG')
  let x = n.input('x', ['n', 3, 16, 16])
  let from = 3
  for (const [to, layers] of [
    [10, 1],
    [20, 1],
    [30, 2],
  ] as const) {
    for (let i = 0; i < layers; i++) {
      x = convBn(n, x, from, to)
      from = to
    }
    x = maxPool(n, x)
  }
  const flat = n.op('Flatten', [x], { axis: 1 })
  const hidden = relu(n, n.dense(flat, from * 4, 40))
  return n.build(n.dense(relu(n, n.dense(hidden, 40, 40)), 40, 5))
}

/** Hinton & Salakhutdinov 2006, convolutional: to a code and back by transposed convolutions. */
function autoencoder() {
  const n = new Net('autoencoder')
  const up = (x: string, from: number, to: number) =>
    n.op('ConvTranspose', [x, n.weight([from, to, 2, 2]), n.weight([to])], {
      kernel_shape: [2, 2],
      strides: [2, 2],
    })
  let x = n.input('x', ['n', 1, 16, 16])
  x = relu(n, n.conv(x, 1, 10, { stride: 2 }))
  x = relu(n, n.conv(x, 10, 20, { stride: 2 }))
  const code = n.dense(n.op('Flatten', [x]), 320, 20)
  x = n.op('Reshape', [relu(n, n.dense(code, 20, 320)), n.ints([-1, 20, 4, 4])])
  x = relu(n, up(x, 20, 10))
  return n.build(n.op('Sigmoid', [up(x, 10, 1)]))
}

export const plainStacks: readonly Architecture[] = [
  {
    name: 'LeNet-5',
    peculiarity: 'a channel becomes a run of neurons where positions are flattened',
    make: lenet5,
  },
  { name: 'VGG', peculiarity: 'no shortcuts: every layer is free of the others', make: vgg },
  {
    name: 'autoencoder',
    peculiarity: 'a code of neurons reshaped into channels and positions, transposed convolutions',
    make: autoencoder,
  },
]
