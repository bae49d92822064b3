import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  arenaBytes,
  captureShapes,
  expectedRam,
  footprintOf,
  memoryParts,
} from '@espalier/server/compiler/analysis/index.js'
import type { Graph } from '@espalier/server/compiler/graph/index.js'
import { writeModelFile } from '@espalier/server/compiler/onnx/index.js'
import { measuringChild } from '@espalier/server/compiler/runtime/index.js'
import { measureMemory } from '@espalier/shared/measure/index.js'
import t from 'tap'
import { Net } from '../../zoo/index.js'

const kB = 1024
const MB = 1024 * kB

t.test(
  'the arena takes the smallest chunk, splits it where half is left, and grows by doubling',
  async (t) => {
    const at = (bytes: number, born: number, dies: number) => ({ bytes, born, dies })
    const table = (regions: number) => (8 / 256) * regions
    t.equal(arenaBytes([at(1000, 0, 0)]), kB + table(MB), 'in multiples of 256')
    t.equal(
      arenaBytes([at(300 * kB, 0, 1), at(300 * kB, 1, 2), at(300 * kB, 2, 2)]),
      600 * kB + table(MB),
      'taken again',
    )
    t.equal(
      arenaBytes([at(600 * kB, 0, 2), at(300 * kB, 1, 2)]),
      900 * kB + table(3 * MB),
      'a chunk of less than twice the size is given whole: the second lies in a region of its own',
    )
    t.equal(
      arenaBytes([at(700 * kB, 0, 0), at(1.5 * MB, 1, 1), at(1.5 * MB, 2, 2)]),
      700 * kB + 1.5 * MB + table(3 * MB),
    )
    t.equal(
      arenaBytes([at(100 * kB, 0, 0)], [50 * kB]),
      150 * kB + table(MB),
      'what the session keeps lies beside it',
    )
  },
)

const partsOf = async (graph: Graph, x: readonly number[]) => {
  const shapes = await captureShapes(graph, { x })
  return memoryParts(graph, shapes.dims, shapes)
}

t.test('convolutions run in blocks of 16 channels, with copies where others cannot', async (t) => {
  const net = (channels: number, between: string[] = []) => {
    const n = new Net('blocks')
    let x = n.conv(n.input('x', [1, 32, 16, 16]), 32, channels, { k: 1, bias: false })
    for (const op of between) x = n.op(op, [x])
    return n.build(n.conv(x, channels, 16, { k: 1, bias: false }))
  }
  const plane = 4 * 16 * 16
  const table = (8 / 256) * MB
  const parts = (channels: number, between?: string[]) => partsOf(net(channels, between), [1, 32, 16, 16])
  const [eight, sixteen, twenty, odd] = await Promise.all([8, 16, 20, 18].map((c) => parts(c)))
  t.equal(sixteen.heldBytes, 4 * (16 * 32 + 16 * 16))
  t.equal(twenty.heldBytes, 4 * (32 * 32 + 16 * 32), 'padded to whole blocks')
  t.equal(eight.heldBytes, 4 * (16 * 32 + 16 * 8), 'inputs fewer than a block are read as they are')
  t.equal(odd.heldBytes, 4 * (32 * 32 + 16 * 18), 'only multiples of four are padded')
  t.equal(
    sixteen.arenaBytes,
    plane * (32 + 16) + table,
    'the input in blocks and one result; what follows lies where it lay',
  )
  t.ok((await parts(64, ['Elu'])).arenaBytes > (await parts(64, ['Relu'])).arenaBytes, 'Elu asks for copies')
})

t.test('a session is made with its weights several times over, and keeps them once', async (t) => {
  const dense = new Net('dense')
  const matrices = await partsOf(
    dense.build(dense.dense(dense.op('Relu', [dense.input('x', [1, 700])]), 700, 1400)),
    [1, 700],
  )
  const matrix = 4 * 700 * 1400
  t.equal(matrices.heldBytes, matrix + 4 * 1400)
  t.equal(matrices.loadingBytes, 2 * matrices.heldBytes, 'read through a buffer as large as the file')
  const convolutions = new Net('convolutions')
  let x = convolutions.input('x', [1, 64, 8, 8])
  for (let i = 0; i < 4; i++) x = convolutions.conv(x, 64, 64, { bias: false })
  const { loadingBytes, heldBytes } = await partsOf(convolutions.build(x), [1, 64, 8, 8])
  const weights = 4 * 64 * 64 * 9
  t.equal(heldBytes, 4 * weights)
  t.equal(loadingBytes, (4 + 3 + 4) * weights, 'all as read, three rewritten, the fourth four times')
})

t.test('what is expected is what a process needs, within a tenth', async (t) => {
  const n = new Net('middling')
  let x = n.conv(n.input('x', [1, 3, 32, 32]), 3, 128)
  for (let i = 0; i < 8; i++) x = n.op('Relu', [n.conv(x, 128, 128)])
  const graph = n.build(n.head(x, 128, 500))
  const shapes = await captureShapes(graph)
  const { predictedRamBytes } = footprintOf(graph, shapes.dims, shapes)
  t.equal(predictedRamBytes, Math.round(expectedRam(memoryParts(graph, shapes.dims, shapes))))
  const path = join(await mkdtemp(join(tmpdir(), 'memory-')), 'middling.onnx')
  await writeModelFile(graph, path)
  const { measuredRamBytes: measured } = await measureMemory(path, { child: measuringChild }, 3)
  t.ok(Math.abs(predictedRamBytes - measured) <= 0.1 * measured, `${predictedRamBytes} for ${measured}`)
})
