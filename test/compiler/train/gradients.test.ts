import { floats, Graph, node } from '@espalier/server/compiler/graph/index.js'
import { Builder } from '@espalier/server/compiler/ops/index.js'
import { openSession, run } from '@espalier/server/compiler/runtime/index.js'
import { differentiate } from '@espalier/server/compiler/train/differentiate.js'
import { sizesOf } from '@espalier/server/compiler/train/shapes.js'
import t from 'tap'
import { check } from './gradients/check.js'
import { compound } from './gradients/compound.js'
import { convolutions } from './gradients/convolutions.js'
import { indexing } from './gradients/indexing.js'
import { moving } from './gradients/moving.js'
import { normalizations } from './gradients/normalizations.js'
import { pointwise } from './gradients/pointwise.js'
import { pooling } from './gradients/pooling.js'
import { products } from './gradients/products.js'
import { recurrences } from './gradients/recurrences.js'
import { reducing } from './gradients/reducing.js'

const families = {
  compound,
  convolutions,
  indexing,
  moving,
  normalizations,
  pointwise,
  pooling,
  products,
  recurrences,
  reducing,
}

for (const cases of Object.values(families))
  for (const c of cases) t.test(`gradient of ${c.what}`, (t) => check(t, c))

t.test('an operator without a gradient is named', async (t) => {
  const graph = new Graph({
    name: 'case',
    nodes: [node('MatMul', ['x', 'w'], ['h']), node('Gelu20', ['h'], ['y'], {}, { name: 'the odd one' })],
    initializers: new Map([['w', floats([2, 2], [1, 2, 3, 4])]]),
    inputs: [{ name: 'x', dtype: 'float32', dims: [1, 2] }],
    outputs: [{ name: 'y', dtype: 'float32', dims: null }],
    values: new Map(),
    opsets: new Map([['', 17]]),
    metadata: new Map(),
  })
  const sizes = { dims: new Map(), types: new Map(), constants: new Map() }
  t.throws(() => differentiate(graph, sizes, new Map([['y', 'dy']]), ['w'], new Builder('g/')), {
    code: 'GRADIENT_UNKNOWN',
    message: /'the odd one'.*Gelu20/,
  })
})

t.test('places that reached the maximum of a window share its gradient', async (t) => {
  const graph = new Graph({
    name: 'ties',
    nodes: [node('MaxPool', ['x'], ['y'], { kernel_shape: [2, 2], strides: [2, 2] })],
    initializers: new Map(),
    inputs: [{ name: 'x', dtype: 'float32', dims: [1, 1, 2, 4] }],
    outputs: [],
    values: new Map(),
    opsets: new Map([['', 18]]),
    metadata: new Map(),
  })
  const g = new Builder('g/')
  const sizes = await sizesOf(graph.with({ outputs: [{ name: 'y', dtype: 'float32', dims: null }] }))
  const { of } = differentiate(graph, sizes, new Map([['y', 'dy']]), ['x'], g)
  const session = await openSession(
    graph.with({
      nodes: [...graph.nodes, ...g.nodes],
      initializers: g.constants,
      inputs: [...graph.inputs, { name: 'dy', dtype: 'float32', dims: [1, 1, 1, 2] }],
      outputs: [{ name: of.get('x')!, dtype: 'float32', dims: null }],
    }),
  )
  const x = floats([1, 1, 2, 4], [3, 1, 0, 0, 3, 2, 0, 0])
  const found = await run(session, { x, dy: floats([1, 1, 1, 2], [1, 8]) })
  t.same([...(found[of.get('x')!].data as Float32Array)], [0.5, 0, 2, 2, 0.5, 0, 2, 2])
  await session.release()
})
