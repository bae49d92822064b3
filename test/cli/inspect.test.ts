import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Graph } from '@espalier/server/compiler/graph/index.js'
import { writeModelFile } from '@espalier/server/compiler/onnx/index.js'
import t, { type Test } from 'tap'
import { invertedResidual, Net, plain } from '../zoo/index.js'

const execute = promisify(execFile)

async function inspect(t: Test, graph: Graph, ...options: string[]): Promise<string> {
  const file = join(t.testdir(), 'model.onnx')
  await writeModelFile(graph, file)
  return (await execute(process.execPath, ['server/dist/cli/main.js', 'inspect', file, ...options])).stdout
}

t.test('inspect --json explains groups, shares, and what is left whole', async (t) => {
  const result = JSON.parse(await inspect(t, plain(), '--json'))
  t.hasProps(
    result,
    'params macs fileBytes peakActivationBytes predictedRamBytes floorRamBytes opset ops units groups unprunable'.split(
      ' ',
    ),
  )
  t.match(result.groups[0], {
    kind: 'output channels',
    what: "output channels of Conv 'Conv1'",
    layers: ['Conv1'],
    units: 8,
    macsPerUnit: 64 * 27 + 16 * 6 * 9,
    bytesPerUnit: 4 * (27 + 4 + 6 * 9),
  })
  t.same(result.groups[0].dimensions[0], { tensor: 'w0', dimension: 0, indices: 1 })
  t.equal(result.prunableMacsShare, 1 - result.floor.macs / result.macs)
  t.equal(result.prunableParamsShare, 1 - result.floor.params / result.params)
  t.match(result.unprunable, [{ tensor: 'w16', reason: /the network's output/ }])
  t.same(result.undescribed, [])
})

t.test('blocks are listed with what goes with them and what that frees', async (t) => {
  const graph = invertedResidual()
  const result = JSON.parse(await inspect(t, graph, '--json'))
  t.equal(result.blocks.length, 1)
  const [{ tensors, ops, ...block }] = result.blocks
  t.same(ops, {
    ...{ Conv: 5, BatchNormalization: 1, Add: 1, Clip: 1, Mul: 2, Div: 1, HardSwish: 1, Relu: 1 },
    ...{ GlobalAveragePool: 1, HardSigmoid: 1 },
  })
  t.equal(block.macs, 64 * (6 * 12 + 12 * 9 + 12 * 6) + 2 * 12 * 4, 'MACs of its convolutions')
  t.match(block, { label: /^Add/, from: /^Div/, bytes: Number, peakBytes: Number, ramBytes: Number })
  t.equal(tensors.length, 2, 'weights and bias of the last convolution')
  t.match(await inspect(t, graph), /^block added by[\s\S]*^Add\d+ .*5 Conv, 2 Mul/m)
})

t.test('a long list of groups is cut, and --all shows it', async (t) => {
  const n = new Net('deep')
  let x = n.input('x', ['n', 4, 4, 4])
  for (let i = 0; i < 25; i++) x = n.op('Relu', [n.conv(x, i === 0 ? 4 : 3, 3)])
  const graph = n.build(n.head(x, 3))
  const lines = (text: string) => text.split('\n').filter((l) => l.startsWith('output channels of'))
  const cut = await inspect(t, graph)
  t.equal(lines(cut).length, 20)
  t.match(cut, /^5 more: --json \/ --all$/m)
  const all = await inspect(t, graph, '--all')
  t.equal(lines(all).length, 25)
  t.notMatch(all, /more: --json/)
  const at = (line: string) => line.search(/ {2}\d+ {2}/)
  t.equal(new Set(lines(all).map(at)).size, 1, 'columns line up')
})

t.test('names out of a file neither move the cursor nor break a table', async (t) => {
  const graph = plain()
  const hostile = `\u001b[2J\r\n${'long'.repeat(500)}`
  const nodes = graph.nodes.map((n) => (n.op === 'Conv' ? { ...n, name: `${hostile}${n.name}` } : n))
  const text = await inspect(t, graph.with({ nodes }))
  const control = [...text.replaceAll('\n', '')].filter((c) => c < ' ')
  t.same(control, [])
  t.ok(Math.max(...text.split('\n').map((l) => l.length)) < 220)
  t.match(text, /output channels of Conv '.*…/)
})
