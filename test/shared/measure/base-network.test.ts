import { floats, Graph, node } from '@espalier/server/compiler/graph/index.js'
import { writeModel } from '@espalier/server/compiler/onnx/index.js'
import { baseNetwork } from '@espalier/shared/measure/base-network.js'
import t from 'tap'

t.test('the base network is Conv, Relu, GlobalAveragePool and MatMul, as written', async (t) => {
  const pattern = (n: number) => Float32Array.from({ length: n }, (_, i) => (((i * 37) % 17) - 8) / 32)
  const graph = new Graph({
    name: 'base',
    nodes: [
      node('Conv', ['x', 'w'], ['c'], { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }),
      node('Relu', ['c'], ['r']),
      node('GlobalAveragePool', ['r'], ['p']),
      node('MatMul', ['p', 'v'], ['y']),
    ],
    initializers: new Map([
      ['w', floats([8, 3, 3, 3], pattern(216))],
      ['v', floats([1, 4], pattern(4))],
    ]),
    inputs: [{ name: 'x', dtype: 'float32', dims: [1, 3, 16, 16] }],
    outputs: [{ name: 'y', dtype: 'float32', dims: [1, 8, 1, 4] }],
    values: new Map(),
    opsets: new Map([['', 13]]),
    metadata: new Map(),
  })
  t.strictSame(Buffer.from(baseNetwork()), Buffer.from(writeModel(graph)))
})
