import { create } from '@bufbuild/protobuf'
import {
  AttributeProto_AttributeType as A,
  AttributeProtoSchema,
  GraphProtoSchema,
  SparseTensorProtoSchema,
  type TensorProto,
  TensorProto_DataLocation,
  TensorProto_DataType,
  TensorProtoSchema,
  ValueInfoProtoSchema,
} from 'onnx-buf'
import { below, pick, type Random } from './bytes.js'
import { inputSizes } from './inputs.js'
import { type Change, graphOf, nodeOf, numbers, types, weightOf } from './parts.js'

const dtypeSizes: Readonly<Record<number, number>> = {
  1: 4,
  2: 1,
  3: 1,
  6: 4,
  7: 8,
  9: 1,
  10: 2,
  11: 8,
  12: 4,
  13: 8,
  16: 2,
}

function external(tensor: TensorProto, random: Random): void {
  const places = [
    '../secret',
    '/etc/hostname',
    '/dev/zero',
    '/proc/self/mem',
    'absent.bin',
    'data.bin',
    '.',
    '',
    'model.onnx',
    `${'../'.repeat(20)}etc/passwd`,
    'a\0b',
    'x'.repeat(5000),
  ]
  tensor.dataLocation = TensorProto_DataLocation.EXTERNAL
  tensor.rawData = new Uint8Array(0)
  tensor.floatData = []
  const entry = (key: string, value: string) => ({
    $typeName: 'onnx.StringStringEntryProto' as const,
    key,
    value,
  })
  const odd = ['0', '-1', '1', '4096', '1e9', 'NaN', '99999999999999999999', '0x10', ' 3', '']
  tensor.externalData = [entry('location', pick(random, places))]
  if (random() < 0.6) tensor.externalData.push(entry('offset', pick(random, odd)))
  if (random() < 0.6) tensor.externalData.push(entry('length', pick(random, odd)))
}

/** What constants say of their shape, their type, and where their data are. */
export const tensors = {
  'weight of another shape': (m, r) => {
    const t = weightOf(m, r)
    const way = below(r, 5)
    if (way === 0) t.dims = [...t.dims].reverse()
    else if (way === 1) t.dims = t.dims.map((d) => (r() < 0.5 ? d : pick(r, numbers)))
    else if (way === 2) t.dims.push(1n)
    else if (way === 3) t.dims = [t.dims.reduce((n, d) => n * d, 1n)]
    else t.dims = Array.from({ length: 2 + below(r, 100) }, () => pick(r, [1n, 2n, 2n ** 31n, 0n]))
  },
  'weight of no elements': (m, r) => {
    const t = weightOf(m, r)
    t.dims[below(r, Math.max(1, t.dims.length))] = 0n
    Object.assign(t, { rawData: new Uint8Array(0), floatData: [], int64Data: [] })
  },
  'another element type': (m, r) => {
    const t = weightOf(m, r)
    const type = pick(r, types)
    const size = dtypeSizes[type]
    if (size && r() < 0.7)
      t.rawData = new Uint8Array(Math.min(1_000_000, Number(t.dims.reduce((n, d) => n * d, 1n)) * size))
    t.dataType = type
  },
  'whole numbers changed': (m, r) => {
    const whole = graphOf(m).initializer.filter((t) => t.dataType === TensorProto_DataType.INT64)
    if (whole.length === 0) return inputSizes(m, r, numbers)
    const t = pick(r, whole)
    const count = Math.max(1, Number(t.dims[0] ?? 1n))
    const values =
      t.rawData.length === 8 * count ? [...new BigInt64Array(t.rawData.slice().buffer)] : [...t.int64Data]
    values[below(r, values.length)] = pick(r, numbers)
    t.rawData = new Uint8Array(0)
    t.int64Data = values
  },
  'no numbers': (m, r) => {
    const t = weightOf(m, r)
    const values = new Float32Array(t.rawData.slice(0, t.rawData.length & ~3).buffer)
    if (values.length > 0)
      values[below(r, values.length)] = pick(r, [Number.NaN, Number.POSITIVE_INFINITY, -1e38, 1e38])
    if (values.length > 0) t.rawData = new Uint8Array(values.buffer)
  },
  'data elsewhere': (m, r) => external(weightOf(m, r), r),
  'data of a subgraph elsewhere': (m, r) => {
    const t = create(TensorProtoSchema, { name: 'far', dataType: TensorProto_DataType.FLOAT, dims: [4n] })
    external(t, r)
    const g = create(GraphProtoSchema, {
      name: 'g',
      initializer: [t],
      output: [create(ValueInfoProtoSchema, { name: 'far' })],
    })
    nodeOf(m, r).attribute.push(create(AttributeProtoSchema, { name: 'then_branch', type: A.GRAPH, g }))
  },
  'sparse weight': (m, r) => {
    const t = weightOf(m, r)
    const indices = create(TensorProtoSchema, {
      dataType: TensorProto_DataType.INT64,
      dims: [1n],
      int64Data: [pick(r, numbers)],
    })
    const values = create(TensorProtoSchema, { ...t, dims: [1n], rawData: new Uint8Array(4) })
    const dims = r() < 0.5 ? t.dims : [pick(r, numbers)]
    graphOf(m).sparseInitializer.push(create(SparseTensorProtoSchema, { values, indices, dims }))
    graphOf(m).initializer = graphOf(m).initializer.filter((i) => i !== t)
  },
} satisfies Record<string, Change>
