import { random } from '@espalier/server/compiler/data/index.js'
import { type Dim, floats, Graph, node } from '@espalier/server/compiler/graph/index.js'

/** A network whose input has these dimensions and whose output is [batch, classes]: Flatten and a dense layer. */
export function flatNetwork(
  dims: readonly Dim[],
  classes: number,
  metadata: Record<string, string> = {},
): Graph {
  const inner = dims.slice(1).reduce<number>((n, d) => n * (typeof d === 'number' ? d : 1), 1)
  return new Graph({
    name: 'flat',
    nodes: [node('Flatten', ['x'], ['f']), node('MatMul', ['f', 'w'], ['y'])],
    initializers: new Map([['w', floats([inner, classes], new Float32Array(inner * classes).fill(0.01))]]),
    inputs: [{ name: 'x', dtype: 'float32', dims }],
    outputs: [{ name: 'y', dtype: 'float32', dims: ['batch', classes] }],
    values: new Map(),
    opsets: new Map([['', 13]]),
    metadata: new Map(Object.entries(metadata)),
  })
}

/** Two convolutions of these channels, pooling and a dense layer: images [n, 1, 12, 12] → [n, classes]. */
export function convNetwork(channels: readonly [number, number], classes: number, seed = 1): Graph {
  const next = random(seed)
  const weight = (dims: number[]) => {
    const fan = dims.slice(1).reduce((n, d) => n * d, 1)
    return floats(
      dims,
      Float32Array.from({ length: fan * dims[0] }, () => (next() - 0.5) * Math.sqrt(12 / fan)),
    )
  }
  const [a, b] = channels
  const kernel = { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }
  return new Graph({
    name: 'conv',
    nodes: [
      node('Conv', ['x', 'w1', 'b1'], ['c1'], kernel),
      node('Relu', ['c1'], ['r1']),
      node('Conv', ['r1', 'w2', 'b2'], ['c2'], { ...kernel, strides: [2, 2] }),
      node('Relu', ['c2'], ['r2']),
      node('GlobalAveragePool', ['r2'], ['p']),
      node('Flatten', ['p'], ['f']),
      node('Gemm', ['f', 'w3', 'b3'], ['y'], { transB: 1 }),
    ],
    initializers: new Map([
      ['w1', weight([a, 1, 3, 3])],
      ['b1', floats([a], new Float32Array(a))],
      ['w2', weight([b, a, 3, 3])],
      ['b2', floats([b], new Float32Array(b))],
      ['w3', weight([classes, b])],
      ['b3', floats([classes], new Float32Array(classes))],
    ]),
    inputs: [{ name: 'x', dtype: 'float32', dims: ['n', 1, 12, 12] }],
    outputs: [{ name: 'y', dtype: 'float32', dims: ['n', classes] }],
    values: new Map(),
    opsets: new Map([['', 13]]),
    metadata: new Map(),
  })
}

/** A classifier with something to prune: Flatten, a hidden layer of `hidden` neurons, Relu, and a dense layer. */
export function hiddenNetwork(dims: readonly Dim[], hidden: number, classes: number): Graph {
  const inner = dims.slice(1).reduce<number>((n, d) => n * (typeof d === 'number' ? d : 1), 1)
  const weights = (rows: number, columns: number) =>
    floats(
      [rows, columns],
      Float32Array.from({ length: rows * columns }, (_, i) => Math.sin(1 + i)),
    )
  return new Graph({
    name: 'hidden',
    nodes: [
      node('Flatten', ['x'], ['f']),
      node('MatMul', ['f', 'w'], ['h']),
      node('Relu', ['h'], ['r']),
      node('MatMul', ['r', 'v'], ['y']),
    ],
    initializers: new Map([
      ['w', weights(inner, hidden)],
      ['v', weights(hidden, classes)],
    ]),
    inputs: [{ name: 'x', dtype: 'float32', dims }],
    outputs: [{ name: 'y', dtype: 'float32', dims: ['batch', classes] }],
    values: new Map(),
    opsets: new Map([['', 17]]),
    metadata: new Map(),
  })
}
