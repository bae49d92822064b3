import { random } from '@espalier/server/compiler/data/index.js'
import { elementCount, floats, Graph, node, type Tensor } from '@espalier/server/compiler/graph/index.js'
import { openSession, run } from '@espalier/server/compiler/runtime/index.js'
import { blockSize, inBlocks } from '@espalier/server/compiler/train/blocks.js'
import t from 'tap'

type Dims = readonly number[]

function convolution(x: Dims, w: Dims, attributes: Parameters<typeof node>[3], constant?: Tensor): Graph {
  const inputs = { x, ...(constant ? {} : { w }), b: [w[0]] }
  return new Graph({
    name: 'convolution',
    nodes: [node('Conv', ['x', 'w', 'b'], ['h'], attributes), node('Relu', ['h'], ['y'])],
    initializers: new Map(constant ? [['w', constant]] : []),
    inputs: Object.entries(inputs).map(([name, dims]) => ({ name, dtype: 'float32', dims })),
    outputs: [{ name: 'y', dtype: 'float32', dims: null }],
    values: new Map(),
    opsets: new Map([['', 18]]),
    metadata: new Map(),
  })
}

const drawn = (seed: number, dims: Dims) => {
  const next = random(seed)
  return floats(
    dims,
    Float32Array.from({ length: elementCount(dims) }, () => next() - 0.5),
  )
}

async function answered(graph: Graph): Promise<Tensor> {
  const session = await openSession(graph)
  const feeds = graph.inputs.map(({ name, dims }, i) => [name, drawn(i + 1, dims as Dims)] as const)
  const { y } = await run(session, Object.fromEntries(feeds))
  await session.release()
  return y
}

const one = { pads: [1, 1, 1, 1] }
const cases: readonly [string, Dims, Dims, Parameters<typeof node>[3], boolean][] = [
  ['3×3', [2, 32, 9, 7], [16, 32, 3, 3], one, true],
  ['3×3 to counts between', [2, 16, 9, 7], [24, 16, 3, 3], { ...one, strides: [2, 1] }, true],
  ['3×3 from counts between', [2, 28, 9, 7], [32, 28, 3, 3], { ...one, dilations: [1, 2] }, true],
  ['5×5 from few', [2, 6, 12, 12], [16, 6, 5, 5], {}, true],
  ['to half a block', [2, 16, 9, 7], [8, 16, 3, 3], { auto_pad: 'SAME_LOWER', strides: [2, 2] }, true],
  ['depthwise', [2, 48, 9, 7], [48, 1, 3, 3], { ...one, group: 48, strides: [1, 2] }, true],
  ['depthwise with counts between', [2, 20, 9, 7], [20, 1, 5, 3], { group: 20, pads: [4, 0, 0, 2] }, true],
  ['1×1', [2, 32, 9, 7], [16, 32, 1, 1], {}, false],
  ['with mostly padding', [2, 17, 9, 7], [16, 17, 3, 3], one, false],
  ['in other groups', [2, 32, 9, 7], [32, 16, 3, 3], { ...one, group: 2 }, false],
  ['over one axis', [2, 16, 9], [16, 16, 3], { pads: [1, 1] }, false],
  ['of a kernel larger than what comes out', [2, 16, 9, 7], [16, 16, 8, 7], {}, false],
]

for (const [what, x, w, attributes, quicker] of cases)
  t.test(`a convolution ${what} gives in blocks what it gives plainly`, async (t) => {
    const graph = convolution(x, w, attributes)
    const laid = await inBlocks(graph)
    const block = await blockSize()
    if (block === 16) t.equal(laid !== graph, quicker, 'it is computed in blocks where that is quicker')
    const [expected, given] = [await answered(graph), await answered(laid)]
    t.same(given.dims, expected.dims)
    const gap = Math.max(
      ...(expected.data as Float32Array).map((v, i) => Math.abs(v - (given.data as Float32Array)[i])),
    )
    t.ok(gap < 1e-4, `the largest difference is ${gap}`)
  })

t.test('constant weights are left to the runtime, which lays them out itself', async (t) => {
  const graph = convolution([2, 32, 9, 7], [16, 32, 3, 3], one, drawn(4, [16, 32, 3, 3]))
  t.equal(await inBlocks(graph), graph)
})
