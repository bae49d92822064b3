import { captureShapes, sampleInput } from '@espalier/server/compiler/analysis/index.js'
import { type Graph, numbersOf, type Value } from '@espalier/server/compiler/graph/index.js'
import { openSession, run } from '@espalier/server/compiler/runtime/index.js'
import t from 'tap'
import { architectures, Net, zoo } from '../../zoo/index.js'

/** Every value that a node makes, computed as an output. */
async function everything(graph: Graph, inputs: Readonly<Record<string, readonly number[]>>) {
  const made = graph.nodes.filter((n) => !graph.constant(n.outputs[0])).flatMap((n) => n.outputs)
  const outputs = [...new Set(made.filter((o) => o !== ''))].map(
    (name): Value => ({ name, dtype: 'other', dims: null }),
  )
  const session = await openSession(graph.with({ outputs }), { optimize: false })
  try {
    return await run(
      session,
      Object.fromEntries(graph.inputs.map((v) => [v.name, sampleInput(v, inputs[v.name])])),
    )
  } finally {
    await session.release()
  }
}

const named = new Set([
  'BERT',
  'GPT',
  'Swin',
  'SSD',
  'CRNN',
  'int8 QDQ',
  'several inputs and outputs',
  'DETR',
])
const networks = [...zoo, ...architectures.filter((a) => named.has(a.name)).map((a) => a.make())]

t.test('a capture tells the shapes of all values, and what small whole numbers they hold', async (t) => {
  let [values, whole] = [0, 0]
  for (const graph of networks) {
    const { dims, integers, inputs } = await captureShapes(graph)
    for (const [name, real] of Object.entries(await everything(graph, inputs))) {
      const isWhole = (real.dtype === 'int64' || real.dtype === 'int32') && real.dims.length <= 1
      const expected = isWhole && real.data.length <= 64 ? numbersOf(real) : undefined
      if (`${dims.get(name)}` !== `${real.dims}` || `${integers.get(name)}` !== `${expected}`)
        t.fail(
          `${graph.name}: ${name} is ${dims.get(name)} of ${integers.get(name)}, not ${real.dims} of ${expected}`,
        )
      values++
      if (isWhole) whole++
    }
  }
  t.ok(values > 1000 && whole > 100, `${values} values, ${whole} of whole numbers`)
})

t.test(
  'an output that no node makes, and one that is made of whole numbers, are captured as they are',
  async (t) => {
    const n = new Net('outputs')
    const x = n.input('x', ['n', 4])
    const best = n.op('ArgMax', [n.op('Relu', [x])], { axis: 1, keepdims: 0 })
    const { dims, integers } = await captureShapes(n.build(x, best))
    t.same(dims.get('x'), [2, 4])
    t.same([dims.get(best), integers.get(best)], [[2], integers.get(best)])
    t.equal(integers.get(best)?.length, 2)
  },
)
