import { mkdtemp, readdir, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { captureShapes, placementsOf, stepsOf } from '@espalier/server/compiler/analysis/index.js'
import type { Graph } from '@espalier/server/compiler/graph/index.js'
import { writeModelFile } from '@espalier/server/compiler/onnx/index.js'
import { sessionOptions } from '@espalier/shared/measure/child.js'
import { inputsOf } from '@espalier/shared/measure/inputs.js'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import t from 'tap'
import { architectures } from '../../zoo/index.js'

const names = [
  ...['ResNet basic', 'ResNet bottleneck', 'ResNet pre-activation', 'ResNeXt', 'RegNet'],
  ...[
    'DenseNet',
    'MobileNet 1',
    'MobileNet 2',
    'EfficientNet 1',
    'EfficientNet 2',
    'GhostNet',
    'U-Net',
    'DS-CNN',
  ],
]

for (const name of names)
  t.test(`${name} is computed in the runtime's steps`, async (t) => {
    const graph = architectures.find((a) => a.name === name)?.make()
    if (!graph) return t.fail()
    const { dims } = await captureShapes(graph)
    const expected = stepsOf(graph, dims, placementsOf(graph, dims)).map(({ node, to }) => {
      if (!node) return to === 'plain' ? 'ReorderOutput' : 'ReorderInput'
      return node.op === 'BatchNormalization' && to === 'blocked' ? 'Conv' : node.op
    })
    const found = await stepsOfRuntime(graph, dims)
    const copies = (steps: readonly string[]) => steps.filter((op) => op.startsWith('Reorder')).length
    const nodes = (steps: readonly string[]) => steps.filter((op) => !op.startsWith('Reorder'))
    t.same(nodes(expected), nodes(found))
    t.equal(copies(expected), copies(found), 'as many copies, though which of them comes first is by chance')
  })

/** Operators in the order in which the runtime runs them, by its own profile. */
async function stepsOfRuntime(graph: Graph, dims: ReadonlyMap<string, readonly number[]>): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), 'steps-'))
  const path = join(folder, 'model.onnx')
  await writeModelFile(graph, path)
  const profile = { enableProfiling: true, profileFilePrefix: join(folder, 'profile') }
  const session = await InferenceSession.create(path, { ...sessionOptions(), ...profile })
  const shapes = Object.fromEntries(graph.inputs.map(({ name }) => [name, dims.get(name) ?? []]))
  const feeds = inputsOf(session.inputMetadata, shapes).map(({ name, data, dims }) => [
    name,
    new Tensor('float32', data as Float32Array, dims),
  ])
  await session.run(Object.fromEntries(feeds))
  session.endProfiling()
  await session.release()
  const file = (await readdir(folder)).find((f) => f.startsWith('profile')) ?? ''
  const events: readonly Event[] = JSON.parse(await readFile(join(folder, file), 'utf8'))
  return events
    .filter(({ cat, name }) => cat === 'Node' && name.endsWith('_kernel_time'))
    .map(({ args }) => renamed[args?.op_name ?? ''] ?? args?.op_name ?? '')
}

interface Event {
  readonly cat: string
  readonly name: string
  readonly args?: { readonly op_name?: string }
}

/** What the runtime calls a node that took in what followed it. */
const renamed: Readonly<Record<string, string>> = { FusedConv: 'Conv', FusedGemm: 'Gemm', QuickGelu: 'Mul' }
