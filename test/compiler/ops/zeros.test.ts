import { captureShapes } from '@espalier/server/compiler/analysis/index.js'
import {
  elementCount,
  floats,
  type Graph,
  type Node,
  numbersOf,
} from '@espalier/server/compiler/graph/index.js'
import { operators, type ZeroSets } from '@espalier/server/compiler/ops/index.js'
import { openSession, run } from '@espalier/server/compiler/runtime/index.js'
import t from 'tap'
import { attention } from './examples/attending.js'
import { linear } from './examples/linear.js'
import { moving } from './examples/moving.js'
import { normal } from './examples/normal.js'
import { pointwise } from './examples/pointwise.js'
import { recurrent } from './examples/recurrent.js'
import { reducing } from './examples/reducing.js'
import { type Example, SIZE } from './examples/through.js'

const examples: Readonly<Record<string, readonly Example[]>> = {
  ...attention,
  ...linear,
  ...recurrent,
  ...moving,
  ...normal,
  ...pointwise,
  ...reducing,
}

const setsOf = (sets: ZeroSets, { inputs }: Node): readonly (readonly number[])[] => {
  const all = [...inputs.keys()]
  return sets === 'all' ? [all] : sets === 'any' ? all.map((i) => [i]) : sets
}

/** What the node gives in output `i` where these of its inputs are zero and the others as they are in the network. */
async function resultOf(graph: Graph, n: Node, zeroed: readonly number[], i: number): Promise<number[]> {
  const { dims } = await captureShapes(graph, shapes)
  const initializers = new Map(graph.initializers)
  const inputs = n.inputs.map((name, k) => {
    if (name === '' || !zeroed.includes(k)) return name
    const of = dims.get(name) ?? []
    initializers.set(`zero${k}`, floats(of, new Float32Array(elementCount(of))))
    return `zero${k}`
  })
  const nodes = graph.nodes.map((other) => (other === n ? { ...n, inputs } : other))
  const outputs = [{ name: n.outputs[i], dtype: 'other', dims: null } as const]
  const session = await openSession(graph.with({ nodes, initializers, outputs }), { optimize: false })
  const x = floats(
    shapes.x,
    Float32Array.from({ length: elementCount(shapes.x) }, (_, k) => Math.sin(k)),
  )
  try {
    return numbersOf((await run(session, { x }))[n.outputs[i]])
  } finally {
    await session.release()
  }
}
const shapes = { x: [2, 3, SIZE, SIZE] }

let judged = 0
for (const { op, domain, zeros } of operators) {
  if (!zeros) continue
  const name = domain ? `${domain}.${op}` : op
  t.test(`${name}: what is said to be zero is`, async (t) => {
    for (const { graph } of examples[name] ?? []) {
      for (const node of graph.nodes.filter((n) => n.op === op && n.domain === domain)) {
        for (const [i, output] of node.outputs.entries()) {
          const constant = (k: number) => graph.constant(node.inputs[k])
          const facts = { graph, node, opset: graph.opset, constant }
          const sets = typeof zeros.when === 'function' ? zeros.when(facts, i) : zeros.when
          for (const zeroed of setsOf(sets, node)) {
            if (!output || zeroed.every((k) => !node.inputs[k])) continue
            const values = await resultOf(graph, node, zeroed, i)
            t.ok(
              values.every((v) => v === 0),
              `${graph.name} inputs ${zeroed}: output ${i}`,
            )
            judged++
          }
        }
      }
    }
  })
}

t.test('the examples put the rules to the test', (t) => {
  t.ok(judged > 100, `${judged} sets of inputs`)
  t.end()
})
