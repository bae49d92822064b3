import {
  buffersOf,
  captureShapes,
  footprintOf,
  liveBytes,
  peakActivationBytes,
} from '@espalier/server/compiler/analysis/index.js'
import { floats, Graph, node } from '@espalier/server/compiler/graph/index.js'
import t from 'tap'
import { convNetwork } from '../../support/networks.js'

t.test(
  'what is alive at a node is its inputs, its outputs and what is read later; in place takes nothing',
  async (t) => {
    const graph = new Graph({
      name: 'branch',
      nodes: [
        node('MatMul', ['x', 'w'], ['a']), // 4 → 8
        node('Relu', ['a'], ['b']), // in place
        node('MatMul', ['b', 'v'], ['c']), // 8 → 8, b still read by Add
        node('Add', ['b', 'c'], ['d']), // in place
        node('Reshape', ['d', 's'], ['y']), // a view
      ],
      initializers: new Map([
        ['w', floats([4, 8], new Float32Array(32))],
        ['v', floats([8, 8], new Float32Array(64))],
        ['s', { dtype: 'int64', dims: [2], data: BigInt64Array.from([-1n, 4n]) }],
      ]),
      inputs: [{ name: 'x', dtype: 'float32', dims: [1, 4] }],
      outputs: [{ name: 'y', dtype: 'float32', dims: [2, 4] }],
      values: new Map(),
      opsets: new Map([['', 13]]),
      metadata: new Map(),
    })
    const shapes = await captureShapes(graph)
    const live = liveBytes(buffersOf(graph, shapes.dims), graph.nodes.length, shapes.dims)
    t.same([...live], [4 * (4 + 8), 4 * 8, 4 * 16, 4 * 16, 4 * 8])
    t.equal(peakActivationBytes(graph, shapes.dims, shapes), 64)
  },
)

t.test('costs and peak are for one sample, whatever batch was captured', async (t) => {
  const graph = convNetwork([8, 16], 10)
  const many = await captureShapes(graph)
  const one = await captureShapes(graph, { x: [1, 1, 12, 12] })
  t.not(many.batch, one.batch)
  const f = footprintOf(graph, many.dims, many)
  t.same(f, footprintOf(graph, one.dims, one))
  t.equal(f.macs, 12 * 12 * 8 * 9 + 6 * 6 * 16 * 8 * 9 + 16 * 10)
  t.equal(f.peakActivationBytes, 4 * (8 * 144 + 16 * 36), 'the second convolution')
  t.ok(f.predictedRamBytes > f.weightBytes + f.peakActivationBytes)
})
