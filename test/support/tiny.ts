import { floats, Graph, type Node, node } from '@espalier/server/compiler/graph/index.js'
import { writeModel } from '@espalier/server/compiler/onnx/index.js'

const value = (name: string, dims: number[]) => ({ name, dtype: 'float32' as const, dims })

/** An ONNX file: y[1,2] = x[1,4] · w, and what else is given. */
export const tinyWith = (...more: Node[]) =>
  writeModel(
    new Graph({
      name: 'tiny',
      nodes: [node('MatMul', ['x', 'w'], ['y']), ...more],
      initializers: new Map([['w', floats([4, 2], [1, 2, 3, 4, 5, 6, 7, 8])]]),
      inputs: [value('x', [1, 4])],
      outputs: [value('y', [1, 2])],
      values: new Map(),
      opsets: new Map([
        ['', 17],
        ['com.example', 1],
      ]),
      metadata: new Map(),
    }),
  )

export const tinyOnnx = tinyWith()

/** A file in MNIST's format: `count` unsigned bytes shaped [count / size, …dims]. */
export function idxFile(dims: readonly number[], values: Uint8Array): Buffer {
  const header = Buffer.alloc(4 + 4 * dims.length)
  header[2] = 8
  header[3] = dims.length
  for (const [i, d] of dims.entries()) header.writeUInt32BE(d, 4 + 4 * i)
  return Buffer.concat([header, values])
}

/** Names of two files for `testdir`: four samples of [4], two classes. */
export const tinyData = (t: { testdir(files: Record<string, Buffer>): string }) => {
  const folder = t.testdir({
    'x.idx': idxFile(
      [4, 4],
      Uint8Array.from({ length: 16 }, (_, i) => i),
    ),
    'y.idx': idxFile([4], Uint8Array.from([0, 1, 0, 1])),
  })
  return { folder, spec: `idx:${folder}/x.idx,${folder}/y.idx` }
}
