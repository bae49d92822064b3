import {
  captureShapes,
  type InputShapes,
  knownSizes,
  type Size,
} from '@espalier/server/compiler/analysis/index.js'
import type { Graph } from '@espalier/server/compiler/graph/index.js'
import { criteria, keepShare } from '@espalier/server/compiler/saliency/index.js'
import { prunable, sizedByData } from '@espalier/server/compiler/surgery/index.js'
import t from 'tap'
import { architectures, Net, zoo } from '../../zoo/index.js'
import { dense, layerNorm, sizeOf, transpose, view } from '../../zoo/layers.js'
import { agreementOf } from '../../zoo/oracle.js'

/** Attention as PyTorch traces `x.view(b, t, 3, heads, c // heads)` and its scaled dot product: all by arithmetic on sizes. */
function traced(): Graph {
  const n = new Net('traced attention')
  const [width, heads] = [24, 4]
  let x = dense(n, n.input('x', ['n', 'length', 6]), 6, width)
  for (let i = 0; i < 2; i++) {
    const [b, length, c] = [0, 1, 2].map((axis) => sizeOf(n, x, axis))
    const head = n.op('Div', [c, n.ints([heads])])
    const all = dense(n, layerNorm(n, x, width), width, 3 * width)
    const apart = transpose(n, view(n, all, b, length, 3, heads, head), 2, 0, 3, 1, 4)
    const [q, k, v] = [0, 1, 2].map((i) => n.op('Gather', [apart, n.int(i)], { axis: 0 }))
    const last = n.op('Slice', [n.op('Shape', [q]), n.ints([-1]), n.ints([2 ** 40])])
    const scale = n.op('Sqrt', [n.op('Div', [n.scalar(1), n.op('Sqrt', [n.op('Cast', [last], { to: 1 })])])])
    const scores = n.op('MatMul', [
      n.op('Mul', [q, scale]),
      n.op('Mul', [transpose(n, k, 0, 1, 3, 2), scale]),
    ])
    const seen = n.op('MatMul', [n.op('Softmax', [scores], { axis: -1 }), v])
    x = n.op('Add', [x, dense(n, view(n, transpose(n, seen, 0, 2, 1, 3), b, length, c), width, width)])
  }
  return n.build(dense(n, x, width, 3))
}

const open = (graph: Graph) => graph.inputs.some((v) => v.dims?.some((d) => typeof d !== 'number'))
const networks = [traced(), ...zoo, ...architectures.map((a) => a.make())].filter(open)

/** Other sizes for what is dynamic: a batch of three, and half of the others. */
const other = (graph: Graph, inputs: InputShapes): InputShapes =>
  Object.fromEntries(
    graph.inputs.map(({ name, dims }) => [
      name,
      inputs[name].map((s, i) => (typeof dims?.[i] === 'number' ? s : i === 0 ? s + 1 : Math.max(1, s / 2))),
    ]),
  )

t.test(
  'what is said to be the same in every run is, and follows dynamic dimensions where it is said to',
  async (t) => {
    let [numbers, products] = [0, 0]
    for (const graph of networks) {
      const shapes = await captureShapes(graph)
      const { dims, elements } = knownSizes(graph, shapes, sizedByData(graph))
      const again = await captureShapes(graph, other(graph, shapes.inputs)).catch(() => undefined)
      if (!again) continue
      const inThisRun = ({ factor, symbols }: Size) =>
        symbols.reduce((p, s) => {
          const [, input = '', axis] = /^(.*)\/(\d+)$/.exec(s) ?? []
          return p * again.inputs[input][Number(axis)]
        }, factor)
      for (const [said, run] of [
        [dims, again.dims],
        [elements, again.integers],
      ] as const) {
        for (const [name, sizes] of said) {
          for (const [i, size] of sizes.entries()) {
            if (!size) continue
            if (inThisRun(size) !== run.get(name)?.[i])
              t.fail(
                `${graph.name}: ${name} [${i}] is ${run.get(name)?.[i]}, not ${size.factor} · ${size.symbols}`,
              )
            if (size.symbols.length > 0) products++
            else numbers++
          }
        }
      }
    }
    t.ok(numbers > 5000 && products > 1000, `${numbers} numbers, ${products} products`)
  },
)

t.test(
  'a network whose sizes are computed is pruned as well with dynamic batch and length as without',
  async (t) => {
    const graph = traced()
    const fixed = graph.with({ inputs: graph.inputs.map((v) => ({ ...v, dims: [2, 64, 6] })) })
    const [subject, whole] = [await prunable(graph), await prunable(fixed)]
    const units = ({ coupling }: typeof subject) => coupling.groups.map((g) => g.units.length)
    t.same(units(subject), units(whole))
    t.same(
      [...units(subject)].sort((a, b) => a - b),
      [4, 4, 6, 6, 24],
      'heads and their width in each layer, and the stream',
    )
    for (const seed of [1, 2]) {
      const removed = keepShare(subject.coupling, criteria.random(subject.coupling, { seed }), { share: 0.5 })
      const { gap, varies } = await agreementOf(subject, removed)
      t.ok(gap <= 1 && varies, `gap ${gap}`)
    }
  },
)
