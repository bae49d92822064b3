import { multiHead } from './attention.js'
import { type Architecture, convBn, dense, layerNorm, relu, sizeOf, transpose, view } from './layers.js'
import { Net } from './net.js'

/** Bromley et al. 1993: one network for two inputs, so every weight is read twice; the distance of their codes. */
function siamese() {
  const n = new Net('Siamese')
  const weights = { a: n.weight([10, 3, 3, 3]), b: n.weight([20, 10, 3, 3]), c: n.weight([20, 20]) }
  const biases = { a: n.weight([10]), b: n.weight([20]), c: n.weight([20]) }
  const code = (x: string) => {
    const first = relu(n, n.op('Conv', [x, weights.a, biases.a], { pads: [1, 1, 1, 1] }))
    const second = relu(n, n.op('Conv', [first, weights.b, biases.b], { strides: [2, 2] }))
    const mean = n.op('Flatten', [n.op('GlobalAveragePool', [second])])
    return n.op('Gemm', [mean, weights.c, biases.c], { transB: 1 })
  }
  const inputs = ['left', 'right'].map((name) => n.input(name, ['n', 3, 12, 12]))
  const gap = n.op('Abs', [n.op('Sub', [code(inputs[0]), code(inputs[1])])])
  return n.build(n.op('Sigmoid', [n.dense(gap, 20, 1)]))
}

/** An image and a row of measurements, joined; a class, a position, and the code itself come out. */
function multiple() {
  const n = new Net('several inputs and outputs')
  const image = convBn(n, convBn(n, n.input('image', ['n', 3, 12, 12]), 3, 10), 10, 20, { stride: 2 })
  const seen = n.op('Flatten', [n.op('GlobalAveragePool', [image])])
  const told = relu(n, n.dense(n.input('measurements', ['n', 6]), 6, 20))
  const both = n.op('Concat', [seen, told], { axis: 1 })
  const code = relu(n, n.dense(both, 40, 20))
  const kind = n.op('Softmax', [n.dense(relu(n, n.dense(code, 20, 20)), 20, 4)], { axis: 1 })
  const place = n.dense(relu(n, n.dense(both, 40, 30)), 30, 2)
  return n.build(kind, place, code)
}

/** Carion et al. 2020: convolutional features as a sequence, an encoder, learned queries that attend to it. */
function detr() {
  const n = new Net('DETR')
  const [width, queries] = [40, 6]
  const shape = { width, heads: 4, head: 10 }
  let x = convBn(n, n.input('x', ['n', 3, 16, 16]), 3, 20, { stride: 2 })
  x = n.conv(convBn(n, x, 20, 40, { stride: 2 }), 40, width, { k: 1 })
  let memory = transpose(n, view(n, x, sizeOf(n, x, 0), width, 16), 0, 2, 1)
  memory = n.op('Add', [memory, n.weight([1, 16, width])])
  const forward = (y: string) =>
    layerNorm(n, n.op('Add', [y, dense(n, relu(n, dense(n, y, width, 80)), 80, width)]), width)
  memory = forward(layerNorm(n, n.op('Add', [memory, multiHead(n, memory, shape)]), width))
  const start = n.op('Expand', [
    n.weight([1, queries, width]),
    n.op('Concat', [sizeOf(n, memory, 0), n.ints([1]), n.ints([1])], { axis: 0 }),
  ])
  let asked = layerNorm(n, n.op('Add', [start, multiHead(n, start, shape)]), width)
  asked = forward(layerNorm(n, n.op('Add', [asked, multiHead(n, asked, shape, memory)]), width))
  const box = dense(n, relu(n, dense(n, asked, width, 40)), 40, 4)
  return n.build(dense(n, asked, width, 4), n.op('Sigmoid', [box]))
}

export const joined: readonly Architecture[] = [
  { name: 'Siamese', peculiarity: 'every weight is shared by two branches', make: siamese },
  {
    name: 'several inputs and outputs',
    peculiarity: 'two inputs of unlike rank, three outputs, one of them in the middle',
    make: multiple,
  },
  {
    name: 'DETR',
    peculiarity: 'attention of learned queries to another sequence',
    make: detr,
  },
]
