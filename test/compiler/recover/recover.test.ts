import type { Coupling, Unit } from '@espalier/server/compiler/analysis/index.js'
import type { Dataset } from '@espalier/server/compiler/data/index.js'
import { floats, type Graph, stridesOf } from '@espalier/server/compiler/graph/index.js'
import { recover } from '@espalier/server/compiler/recover/index.js'
import { prunable, pruned } from '@espalier/server/compiler/surgery/index.js'
import t from 'tap'
import { outputsOn } from '../../support/compare.js'
import { noise } from '../../support/noise.js'
import { Net } from '../../zoo/index.js'

/** The constant with index `to` along `axis` made equal to index `from`, or to a sum of indices times factors. */
function combined(
  graph: Graph,
  name: string,
  axis: number,
  to: number,
  parts: readonly (readonly [from: number, factor: number])[],
): Graph {
  const { dims, data } = graph.initializers.get(name)!
  const step = stridesOf(dims)[axis]
  const at = (i: number) => Math.floor(i / step) % dims[axis]
  const values = (data as Float32Array).map((v, i) =>
    at(i) === to ? parts.reduce((sum, [from, f]) => sum + f * Number(data[i + (from - to) * step]), 0) : v,
  )
  return graph.with({ initializers: new Map([...graph.initializers, [name, floats(dims, values)]]) })
}

/** The units whose slice of a constant along an axis begins at one of these indices. */
const unitsAt = ({ groups }: Coupling, tensor: string, axis: number, indices: readonly number[]): Unit[] =>
  groups.flatMap(({ units }) =>
    units.filter((u) =>
      u.slices.some((s) => s.tensor === tensor && s.axis === axis && indices.includes(s.indices[0])),
    ),
  )

/** Error of the outputs on fresh inputs, as a share of their squares: pruned alone, and repaired. */
async function errors(
  graph: Graph,
  removed: readonly Unit[],
  coupling: Coupling,
  small: Graph,
  data: Dataset,
) {
  const result = await recover(coupling, removed, small, data)
  const fresh = noise(data.dims, 16, 99)
  const wanted = await outputsOn(graph, fresh)
  const error = async (g: Graph) => {
    const got = await outputsOn(g, fresh)
    const total = (f: (i: number) => number) => wanted.reduce((sum, _, i) => sum + f(i), 0)
    return Math.sqrt(total((i) => (got[i] - wanted[i]) ** 2) / total((i) => wanted[i] ** 2))
  }
  return { before: await error(small), after: await error(result.graph), result }
}

interface Case {
  readonly name: string
  readonly dims: readonly number[]
  /** The network, and which indices of which constant go. */
  make(): { graph: Graph; tensor: string; axis: number; gone: readonly number[] }
}

/** The constants of a net's nodes of one operator, in order. */
const weightsOf = (graph: Graph, op: string) => graph.nodes.filter((n) => n.op === op).map((n) => n.inputs)

const cases: readonly Case[] = [
  {
    name: 'a channel twice, read by a convolution that pads with zeros',
    dims: [3, 8, 8],
    make() {
      const n = new Net('twice')
      const h = n.op('Relu', [n.conv(n.input('x', ['n', 3, 8, 8]), 3, 6)])
      const graph = n.build(n.head(n.op('Relu', [n.conv(h, 6, 4)]), 4))
      const [[, w, b]] = weightsOf(graph, 'Conv')
      const same = combined(combined(graph, w, 0, 4, [[1, 1]]), b, 0, 4, [[1, 1]])
      return { graph: same, tensor: w, axis: 0, gone: [4] }
    },
  },
  {
    name: 'a channel that is a sum of two others, normalised before it is read',
    dims: [3, 8, 8],
    make() {
      const n = new Net('sum')
      const h = n.conv(n.input('x', ['n', 3, 8, 8]), 3, 6)
      const graph = n.build(n.head(n.op('Relu', [n.batchNorm(n.conv(h, 6, 5, { k: 1, bias: false }), 5)]), 5))
      const [[, w, b]] = weightsOf(graph, 'Conv')
      const parts = [
        [0, 0.5],
        [2, -2],
      ] as const
      return {
        graph: combined(combined(graph, w, 0, 3, parts), b, 0, 3, parts),
        tensor: w,
        axis: 0,
        gone: [3],
      }
    },
  },
  {
    name: 'a channel twice behind a depthwise convolution',
    dims: [3, 8, 8],
    make() {
      const n = new Net('depthwise')
      const wide = n.op('Relu', [n.conv(n.input('x', ['n', 3, 8, 8]), 3, 8, { k: 1 })])
      const deep = n.conv(wide, 8, 8, { group: 8 })
      let graph = n.build(n.head(n.conv(deep, 8, 5, { k: 1 }), 5))
      const [[, w, b], [, v, c]] = weightsOf(graph, 'Conv')
      for (const name of [w, b, v, c]) graph = combined(graph, name, 0, 6, [[2, 1]])
      return { graph, tensor: w, axis: 0, gone: [6] }
    },
  },
  {
    name: 'a channel twice, flattened before a matrix reads it',
    dims: [2, 6, 6],
    make() {
      const n = new Net('flattened')
      const h = n.op('Relu', [n.conv(n.input('x', ['n', 2, 6, 6]), 2, 5)])
      const graph = n.build(n.dense(n.op('Flatten', [h]), 180, 4))
      const [[, w, b]] = weightsOf(graph, 'Conv')
      return {
        graph: combined(combined(graph, w, 0, 3, [[0, 1]]), b, 0, 3, [[0, 1]]),
        tensor: w,
        axis: 0,
        gone: [3],
      }
    },
  },
  {
    name: 'an attention head twice',
    dims: [6, 8],
    make() {
      const n = new Net('heads')
      const x = n.input('x', ['n', 6, 8])
      const project = (perm: readonly number[]) =>
        n.op('Transpose', [n.op('Reshape', [n.op('MatMul', [x, n.weight([8, 12])]), n.ints([0, 0, 3, 4])])], {
          perm,
        })
      const scores = n.op('MatMul', [project([0, 2, 1, 3]), project([0, 2, 3, 1])])
      const seen = n.op('MatMul', [n.op('Softmax', [scores], { axis: -1 }), project([0, 2, 1, 3])])
      const merged = n.op('Reshape', [n.op('Transpose', [seen], { perm: [0, 2, 1, 3] }), n.ints([0, 0, 12])])
      let graph = n.build(n.op('MatMul', [merged, n.weight([12, 8])]))
      const names = weightsOf(graph, 'MatMul')
        .map(([, w]) => w)
        .filter((w) => graph.initializers.get(w)?.dims[1] === 12)
      for (const name of names) for (let d = 0; d < 4; d++) graph = combined(graph, name, 1, 8 + d, [[d, 1]])
      return { graph, tensor: names[0], axis: 1, gone: [8] }
    },
  },
]

for (const { name, dims, make } of cases) {
  t.test(`${name}: without one of them the network computes what it did`, async (t) => {
    const { graph, tensor, axis, gone } = make()
    const subject = await prunable(graph)
    const removed = unitsAt(subject.coupling, tensor, axis, gone)
    t.equal(removed.length, 1)
    const small = pruned(subject, removed)
    const { before, after, result } = await errors(graph, removed, subject.coupling, small, noise(dims, 400))
    t.ok(before > 0.01, `pruned: ${before}`)
    t.ok(after < 1e-4, `repaired: ${after}`)
    t.ok(result.better && result.layers.some((l) => l.accepted > 0))
  })
}

t.test(
  'a matrix with few rows for its unknowns is fitted with care, as far as held-out inputs confirm',
  async (t) => {
    const n = new Net('few rows')
    // 64 channels of rank 12: half of them say it all.
    const hidden = n.dense(n.input('x', ['n', 12]), 12, 64)
    const graph = n.build(n.dense(hidden, 64, 4))
    const [[, w]] = weightsOf(graph, 'Gemm')
    const axis = graph.initializers.get(w)?.dims[0] === 64 ? 0 : 1
    const subject = await prunable(graph)
    const gone = Array.from({ length: 32 }, (_, i) => 2 * i)
    const removed = unitsAt(subject.coupling, w, axis, gone)
    const small = pruned(subject, removed)
    const data = noise([12], 120)
    const { before, after, result } = await errors(graph, removed, subject.coupling, small, data)
    t.ok(before > 0.3, `pruned: ${before}`)
    t.ok(after < 0.05, `repaired from 96 rows for 33 unknowns: ${after}`)
    t.equal(result.layers.at(-1)?.accepted, 4)
  },
)
