import { explain, freedByUnit } from '@espalier/server/compiler/analysis/index.js'
import { costWithout } from '@espalier/server/compiler/budget/index.js'
import type { Graph } from '@espalier/server/compiler/graph/index.js'
import { prunable } from '@espalier/server/compiler/surgery/index.js'
import t from 'tap'
import {
  attention,
  fusedAttention,
  groupedConvolution,
  invertedResidual,
  Net,
  plain,
  zoo,
} from '../../zoo/index.js'

const explained = async (graph: Graph) => explain((await prunable(graph)).coupling)
const kinds = async (graph: Graph) =>
  (await explained(graph)).groups.map(({ kind, units }) => `${units} ${kind}`).sort()

t.test('what a unit frees is the exact difference when any one of its group goes alone', async (t) => {
  let lowering = 0
  let idle = 0
  for (const graph of zoo) {
    const { coupling } = await prunable(graph)
    const dense = costWithout(coupling, [])
    const freed = freedByUnit(coupling)
    for (const [g, { units, label }] of coupling.groups.entries()) {
      for (const unit of [units[0], units[units.length - 1]]) {
        const left = costWithout(coupling, [unit])
        const difference = Object.fromEntries(
          Object.entries(dense).map(([key, was]) => [key, was - left[key as keyof typeof left]]),
        )
        t.same(freed[g], difference, `${graph.name}: ${label}`)
      }
      if (freed[g].peakActivationBytes > 0) lowering++
      else idle++
    }
  }
  t.ok(lowering > 5 && idle > 5, `${lowering} groups lower the peak, ${idle} are not alive there`)
})

t.test('a unit lowers the peak only where the peak is', async (t) => {
  const n = new Net('early peak')
  let x = n.op('Relu', [n.conv(n.input('x', ['n', 1, 16, 16]), 1, 8)])
  x = n.op('Relu', [n.conv(x, 8, 6, { stride: 2 })])
  const { groups, peakAt } = await explained(n.build(n.head(n.conv(x, 6, 7), 7)))
  t.same(
    peakAt.map(({ op }) => op),
    ['Conv'],
  )
  const peaks = Object.fromEntries(groups.map((g) => [g.units, g.peakBytesPerUnit]))
  t.same(peaks, { 8: 16 * 16 * 4, 6: 8 * 8 * 4, 7: 0 })
})

t.test('groups are told by what operators do with them', async (t) => {
  t.same(await kinds(plain()), ['6 output channels', '8 output channels'])
  t.same(await kinds(invertedResidual()), ['12 shared channels', '4 output channels', '6 shared channels'])
  t.same(await kinds(groupedConvolution()), [
    '2 channels in a group',
    '3 channels in a group',
    '4 groups',
    '6 output channels',
  ])
  for (const make of [attention, fusedAttention])
    t.same(await kinds(make()), [
      '12 shared channels',
      '16 hidden layer',
      '3 channels in a head',
      '4 attention heads',
    ])
})

t.test('words name the layers, whatever these are called', async (t) => {
  const words = async (graph: Graph) => (await explained(graph)).groups.map((g) => g.what)
  t.ok((await words(plain())).includes("output channels of Conv 'Conv1'"))
  t.ok((await words(attention())).includes("hidden layer between MatMul 'MatMul45' and MatMul 'MatMul55'"))
  const named = plain()
  const renamed = named.with({ nodes: named.nodes.map((n, i) => ({ ...n, name: `attention_head_${i}` })) })
  t.same(await kinds(renamed), await kinds(named))
})

t.test('shares say what one unit a group leaves; who nobody described is named', async (t) => {
  const n = new Net('stranger')
  const x = n.op('Relu', [n.conv(n.input('x', ['n', 3, 6, 6]), 3, 8)])
  const strange = n.op('Inverse', [n.conv(x, 8, 6)], {}, 'com.microsoft')
  const { dense, floor, undescribed, groups } = await explained(
    n.build(n.dense(n.op('Flatten', [strange]), 216, 4)),
  )
  t.match(undescribed, [{ operator: 'com.microsoft.Inverse', node: /^Inverse/ }])
  t.same(
    groups.map((g) => g.units),
    [8],
  )
  t.equal(dense.macs, 36 * 9 * (3 * 8 + 8 * 6) + 216 * 4)
  t.equal(floor.macs, 36 * 9 * (3 + 6) + 216 * 4)
})
