import type { Graph } from '@espalier/server/compiler/graph/index.js'
import { Net } from './net.js'

/** LeNet-5 as Caffe has it (20 and 50 filters, 500 neurons), the network of the Deep Compression paper. */
export function lenet5(): Graph {
  const n = new Net('lenet5')
  const pool = (x: string) => n.op('MaxPool', [x], { kernel_shape: [2, 2], strides: [2, 2] })
  const conv = (x: string, from: number, to: number) =>
    n.op('Conv', [x, n.weight([to, from, 5, 5]), n.weight([to])])
  let x = n.input('x', ['n', 1, 28, 28])
  x = pool(conv(x, 1, 20))
  x = pool(conv(x, 20, 50))
  x = n.op('Relu', [n.dense(n.op('Flatten', [x]), 800, 500)])
  return n.build(n.dense(x, 500, 10))
}
