import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { create, toBinary } from '@bufbuild/protobuf'
import { xorshift } from '@espalier/server/compiler/analysis/index.js'
import { most } from '@espalier/server/compiler/most.js'
import { readModel, readModelFile, writeModel } from '@espalier/server/compiler/onnx/index.js'
import { prunable } from '@espalier/server/compiler/surgery/index.js'
import type { ErrorCode } from '@espalier/shared'
import {
  AttributeProto_AttributeType as A,
  AttributeProtoSchema,
  FunctionProtoSchema,
  type GraphProto,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
  type TensorProto,
  TensorProto_DataLocation,
  TensorProto_DataType,
  TensorProtoSchema,
} from 'onnx-buf'
import t, { type Test } from 'tap'
import { bases } from '../../support/hostile/bases.js'
import { changes } from '../../support/hostile/structure.js'

/** The file of a sound network after `change`. */
function file(base: string, change: (graph: GraphProto, model: ModelProto) => void): Uint8Array<ArrayBuffer> {
  const model = bases[base]()
  change(model.graph as GraphProto, model)
  return toBinary(ModelProtoSchema, model)
}

const refused = (t: Test, bytes: Uint8Array, code: ErrorCode, says: RegExp) =>
  t.throws(() => readModel(bytes), { code, message: says }, `${code} ${says}`)

const analysed = async (bytes: Uint8Array) => prunable(readModel(bytes))

const branchOn = (g: GraphProto) => g.node.find((n) => n.opType === 'If') as NodeProto
const branch = (g: GraphProto) => branchOn(g).attribute[0].g as GraphProto

const float = (name: string, dims: bigint[], rawData = new Uint8Array(0)) =>
  create(TensorProtoSchema, { name, dataType: TensorProto_DataType.FLOAT, dims, rawData })

t.test('the networks that mutants are made from are sound', async (t) => {
  for (const [name, make] of Object.entries(bases)) {
    const { coupling } = await analysed(toBinary(ModelProtoSchema, make()))
    t.ok(coupling.groups.length > 0, name)
  }
})

t.test('what a file declares is counted before it is decoded', (t) => {
  const many = (count: number) => (g: GraphProto) => {
    for (let k = 0; k < count; k++) g.node.push(create(NodeProtoSchema, { opType: 'Relu' }))
  }
  refused(t, file('hidden', many(most.nodes)), 'MODEL_TOO_HEAVY', /nodes/)
  const deep = (m: GraphProto, model: ModelProto) => void (m && changes['deep nesting'](model, () => 0.999))
  refused(t, file('hidden', deep), 'MODEL_TOO_HEAVY', /nested deeper/)
  const longName = (g: GraphProto) => {
    g.node[0].name = 'x'.repeat(most.name + 1)
  }
  refused(t, file('hidden', longName), 'MODEL_TOO_HEAVY', /name longer/)
  const bytes = file('hidden', (g) => {
    g.node[0].name = 'ÿÿÿÿ'
  })
  const at = Buffer.from(bytes).indexOf('ÿÿÿÿ')
  refused(t, bytes.fill(0xff, at, at + 2), 'MODEL_INVALID', /not UTF-8/)
  // A node that is longer than the graph that holds it would be read from what follows the graph.
  const whole = file('hidden', () => {})
  whole[whole.indexOf(0x3a) + 3] = 0x7f
  refused(t, whole, 'NOT_ONNX', /longer than what holds it|cut short/)
  t.end()
})

t.test('names are unique, in subgraphs too', (t) => {
  const twice: [string, (g: GraphProto, model: ModelProto) => void][] = [
    ['input', (g) => g.input.push(g.input[0])],
    ['initializer', (g) => g.initializer.push(g.initializer[0])],
    ['value', (g) => g.node.push(create(NodeProtoSchema, { opType: 'Relu', input: ['x'], output: ['x'] }))],
    ['attribute', (g) => branchOn(g).attribute.push(branchOn(g).attribute[0])],
    ['operator set', (_, m) => m.opsetImport.push(m.opsetImport[0])],
    ['value', (g) => branch(g).node.push(branch(g).node[0])],
  ]
  for (const [what, change] of twice)
    refused(t, file('branches', change), 'MODEL_INVALID', new RegExp(`${what}.* is there twice`))
  t.end()
})

t.test('tensors carry what they declare, in subgraphs and attributes too', (t) => {
  const lies = float('lie', [2n ** 40n])
  refused(
    t,
    file('hidden', (g) => g.initializer.push(lies)),
    'MODEL_INVALID',
    /carries 0/,
  )
  refused(
    t,
    file('branches', (g) => branch(g).initializer.push(lies)),
    'MODEL_INVALID',
    /carries 0/,
  )
  const attribute = create(AttributeProtoSchema, { name: 'value', type: A.TENSOR, t: lies })
  refused(
    t,
    file('hidden', (g) => g.node[0].attribute.push(attribute)),
    'MODEL_INVALID',
    /carries 0/,
  )
  const absent = create(AttributeProtoSchema, { name: 'value', type: A.TENSOR })
  refused(
    t,
    file('hidden', (g) => g.node[0].attribute.push(absent)),
    'MODEL_INVALID',
    /is empty/,
  )
  const empty = float('empty', [0n, 2n ** 62n])
  refused(
    t,
    file('hidden', (g) => g.initializer.push(empty)),
    'MODEL_TOO_HEAVY',
    /is empty, but/,
  )
  const ranks = float('ranks', new Array(65).fill(1n), new Uint8Array(4))
  refused(
    t,
    file('hidden', (g) => g.initializer.push(ranks)),
    'MODEL_TOO_HEAVY',
    /65 dimensions/,
  )
  t.end()
})

t.test("operators of the runtime's own layout, which read beyond their inputs, are refused", (t) => {
  const own = (g: GraphProto) => {
    g.node[0].domain = 'com.microsoft.nchwc'
  }
  refused(t, file('channel shuffle', own), 'MODEL_UNSUPPORTED', /nchwc\.Conv .*own layout/)
  t.end()
})

t.test('functions that would be written out without end, or nearly, are refused', (t) => {
  const call = (name: string) =>
    create(NodeProtoSchema, { opType: name, domain: 'f', input: ['a'], output: ['b'] })
  const f = (name: string, calls: string) =>
    create(FunctionProtoSchema, { name, domain: 'f', input: ['a'], output: ['b'], node: [call(calls)] })
  const bytes = file('hidden', (_, m) => {
    m.functions.push(f('A', 'B'), f('B', 'A'))
    m.opsetImport.push(create(OperatorSetIdProtoSchema, { domain: 'f', version: 1n }))
  })
  refused(t, bytes, 'MODEL_INVALID', /calls itself/)
  const laughs = file('hidden', (g, m) => {
    for (let k = 0; k < 40; k++)
      m.functions.push({ ...f(`F${k}`, `F${k + 1}`), node: [call(`F${k + 1}`), call(`F${k + 1}`)] })
    m.opsetImport.push(create(OperatorSetIdProtoSchema, { domain: 'f', version: 1n }))
    g.node.push({ ...call('F0'), input: ['x'] })
  })
  refused(t, laughs, 'MODEL_TOO_HEAVY', /1\.10e\+12 nodes/)
  t.end()
})

t.test('external data stay in the folder, in subgraphs too, and no pipe is waited for', async (t) => {
  const folder = t.testdir({ m: { 'data.bin': Buffer.alloc(64) }, 'secret.bin': Buffer.alloc(64) })
  execFileSync('mkfifo', [join(folder, 'm', 'pipe')])
  const far = (entries: Record<string, string>): TensorProto =>
    create(TensorProtoSchema, {
      ...float('far', [4n]),
      dataLocation: TensorProto_DataLocation.EXTERNAL,
      externalData: Object.entries(entries).map(([key, value]) => ({
        $typeName: 'onnx.StringStringEntryProto' as const,
        key,
        value,
      })),
    })
  const read = (tensor: TensorProto, into: (g: GraphProto) => GraphProto) => {
    const path = join(folder, 'm', 'model.onnx')
    writeFileSync(
      path,
      file('branches', (g) => into(g).initializer.push(tensor)),
    )
    return readModelFile(path)
  }
  for (const into of [(g: GraphProto) => g, branch]) {
    const good = await read(far({ location: 'data.bin', offset: '16', length: '16' }), into)
    t.doesNotThrow(() => readModel(writeModel(good)), 'and is taken into the file that is written')
    const bad: [Record<string, string>, ErrorCode, RegExp][] = [
      [{ location: '../secret.bin' }, 'EXTERNAL_DATA_INVALID', /outside/],
      [{ location: '/etc/hostname' }, 'EXTERNAL_DATA_INVALID', /outside/],
      [{ location: '/dev/zero' }, 'EXTERNAL_DATA_INVALID', /outside/],
      [{ location: 'pipe' }, 'EXTERNAL_DATA_INVALID', /not a file/],
      [{ location: '.' }, 'EXTERNAL_DATA_INVALID', /not a file/],
      [{ location: 'a\0b' }, 'EXTERNAL_DATA_INVALID', /cannot be read/],
      [{ location: 'absent.bin' }, 'EXTERNAL_DATA_INVALID', /ENOENT/],
      [{ location: 'data.bin', offset: '56' }, 'EXTERNAL_DATA_INVALID', /has 64 bytes/],
      [{ location: 'data.bin', offset: '-8' }, 'EXTERNAL_DATA_INVALID', /no number/],
      [{ location: 'data.bin', length: '1e3' }, 'EXTERNAL_DATA_INVALID', /no number/],
      [{ location: 'data.bin', length: '8' }, 'MODEL_INVALID', /has 8 bytes for it/],
    ]
    for (const [entries, code, message] of bad)
      await t.rejects(read(far(entries), into), { code, message }, JSON.stringify(entries))
  }
})

t.test('inputs and constants that ask for giants are refused before the runtime sees them', async (t) => {
  const sized = file('hidden', (g) => {
    const type = g.input[0].type?.value
    if (type?.case === 'tensorType' && type.value.shape)
      type.value.shape.dim[0].value = { case: 'dimValue', value: 2n ** 40n }
  })
  await t.rejects(analysed(sized), { code: 'MODEL_TOO_HEAVY', message: /input 'x'/ })
  for (let k = 0; k < 7; k++) {
    const bytes = file('hidden', (_, m) => {
      const draws = [k / 7 + 0.01, 0.99, 0.99]
      changes['giant constant'](m, () => draws.shift() ?? xorshift(1)())
    })
    await t.rejects(analysed(bytes), { code: /MODEL_(TOO_HEAVY|UNRUNNABLE|UNSUPPORTED)/ }, `giant ${k}`)
  }
})

t.test('what every object has is a name like any other', async (t) => {
  for (const name of ['constructor', '__proto__', 'toString']) {
    const bytes = file('conv', (g) => {
      const was = g.input[0].name
      g.input[0].name = name
      for (const n of g.node) n.input = n.input.map((v) => (v === was ? name : v))
      g.initializer[0].name = `${name} `
      g.node[0].input[1] = `${name} `
    })
    t.ok((await analysed(bytes)).coupling.groups.length > 0, name)
  }
})
