import { captureShapes, couple, indexPicks } from '@espalier/server/compiler/analysis/index.js'
import type { Graph } from '@espalier/server/compiler/graph/index.js'
import { prunable, separateConstants } from '@espalier/server/compiler/surgery/index.js'
import t from 'tap'
import {
  attention,
  channelShuffle,
  fusedAttention,
  groupedConvolution,
  invertedResidual,
  Net,
  paddedShortcut,
  sharedWeights,
  zoo,
} from '../../zoo/index.js'

const sizes = async (graph: Graph) =>
  (await prunable(graph)).coupling.groups.map((g) => g.units.length).sort((a, b) => a - b)

t.test('units are as small as the network allows', async (t) => {
  t.same(await sizes(invertedResidual()), [4, 6, 12], 'squeeze, residual, expansion')
  t.same(await sizes(paddedShortcut()), [5, 6], 'channels that the shortcut pads, and those it carries')
  t.same(
    await sizes(groupedConvolution()),
    [2, 3, 4, 6],
    'positions in a group, groups, and the channels after',
  )
  t.same(
    await sizes(attention()),
    [3, 4, 12, 16],
    'channels in a head (one size for queries, keys and values), heads, the stream, feed-forward',
  )
  t.same(await sizes(fusedAttention()), [3, 4, 12, 16], 'one projection ties both kinds of channels')
})

t.test('every axis keeps an index when all but one unit of each group go', async (t) => {
  for (const graph of zoo) {
    const { coupling } = await prunable(graph)
    const dims = coupling.dims(coupling.groups.flatMap((g) => g.units.slice(1)))
    const empty = [...dims].filter(
      ([name, d]) => d.includes(0) && !coupling.axes.get(name)?.some((a) => a.atoms.length === 0),
    )
    t.same(empty, [], graph.name)
  }
})

t.test('a unit lists each slice once, and units of a group touch the same dimensions', async (t) => {
  for (const graph of zoo) {
    const { coupling } = await prunable(graph)
    for (const { units } of coupling.groups) {
      const touched = units.map((u) => u.slices.map((s) => `${s.tensor}/${s.axis}×${s.indices.length}`))
      for (const slices of touched) {
        t.equal(new Set(slices).size, slices.length)
        t.same(slices, touched[0])
      }
    }
  }
})

t.test(
  'what touches inputs, outputs and mixing operators is left whole, each with its own reason',
  async (t) => {
    const n = new Net('reasons')
    const h = n.conv(n.input('x', [1, 3, 6, 6]), 3, 8)
    const a = n.conv(h, 8, 4)
    const b = n.op('Softmax', [n.conv(h, 8, 7)], { axis: 1 })
    const graph = n.build(a, b)
    const { whole, groups } = (await prunable(graph)).coupling
    t.equal(groups.length, 1)
    t.match(whole, [
      { operator: 'Conv', reason: /^it is the network's output/ },
      { operator: 'Softmax', reason: /^Softmax mixes along it/ },
    ])
    t.equal(whole.length, 2)
  },
)

t.test('a shared weight does not couple strangers once each has a copy of its own', async (t) => {
  const graph = sharedWeights()
  const shapes = await captureShapes(graph)
  const { graph: separated, originals } = separateConstants(graph)
  t.same([...new Set(originals.values())].sort(), ['w0', 'w1'])
  for (const name of originals.keys()) t.equal(separated.consumers(name).length, 1)
  t.same(separateConstants(separated).graph.nodes.length, separated.nodes.length)
  const dims = new Map(shapes.dims)
  for (const [copy, original] of originals) dims.set(copy, shapes.dims.get(original) ?? [])
  t.ok(couple(separated, { ...shapes, dims }).groups.length > couple(graph, shapes).groups.length)
})

t.test(
  'a chain of moves that picks indices along one dimension is found, one that does not is not',
  async (t) => {
    const graph = channelShuffle()
    const [pick, ...more] = indexPicks(graph, await captureShapes(graph))
    t.same(more, [])
    t.equal(pick.axis, 1)
    t.same(pick.indices, [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11])
    const heads = attention()
    t.same(indexPicks(heads, await captureShapes(heads)), [])
  },
)
