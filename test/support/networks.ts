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
