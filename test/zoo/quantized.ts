import { tensor } from '@espalier/server/compiler/graph/index.js'
import { type Architecture, maxPool, relu } from './layers.js'
import { Net } from './net.js'

const scale = (n: Net, value: number) => n.floats([], [value])
const zero = (n: Net) => n.constant('z', tensor('int8', [], Int8Array.of(0)))

/** Activations through int8 and back. */
function pair(n: Net, x: string, step = 0.05): string {
  const q = n.op('QuantizeLinear', [x, scale(n, step), zero(n)])
  return n.op('DequantizeLinear', [q, scale(n, step), zero(n)])
}

/** An int8 weight with one scale for each index of the first dimension. */
function weight(n: Net, dims: readonly number[]): string {
  const count = dims.reduce((p, d) => p * d, 1)
  const values = Int8Array.from({ length: count }, (_, i) => ((i * 37 + (i >> 3) * 11) % 255) - 127)
  const steps = Float32Array.from(
    { length: dims[0] },
    (_, i) => (0.01 + 0.001 * (i % 7)) / Math.sqrt(count / dims[0]),
  )
  return n.op(
    'DequantizeLinear',
    [
      n.constant('q', tensor('int8', dims, values)),
      n.floats([dims[0]], steps),
      n.constant('z', tensor('int8', [dims[0]], new Int8Array(dims[0]))),
    ],
    { axis: 0 },
  )
}

/** Jacob et al. 2018, as onnxruntime's quantizer writes it: QDQ pairs around every operator, weights per channel. */
function quantized() {
  const n = new Net('int8 QDQ')
  const conv = (x: string, from: number, to: number, group = 1, stride = 1) =>
    pair(
      n,
      relu(
        n,
        n.op('Conv', [x, weight(n, [to, from / group, 3, 3]), n.weight([to])], {
          group,
          strides: [stride, stride],
          pads: [1, 1, 1, 1],
        }),
      ),
    )
  let x = conv(pair(n, n.input('x', ['n', 3, 16, 16])), 3, 10)
  x = conv(conv(x, 10, 20, 1, 2), 20, 20, 20)
  const y = conv(x, 20, 20)
  x = maxPool(n, pair(n, n.op('Add', [x, y])))
  const mean = pair(n, n.op('Flatten', [n.op('GlobalAveragePool', [x])]))
  return n.build(n.op('Gemm', [mean, weight(n, [5, 20]), n.weight([5])], { transB: 1 }))
}

export const quantizeds: readonly Architecture[] = [
  {
    name: 'int8 QDQ',
    peculiarity: 'weights are int8, scales and zero points a channel; every activation goes through int8',
    make: quantized,
  },
]
