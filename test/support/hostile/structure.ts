import { create } from '@bufbuild/protobuf'
import {
  AttributeProto_AttributeType as A,
  AttributeProtoSchema,
  FunctionProtoSchema,
  type GraphProto,
  GraphProtoSchema,
  type ModelProto,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
  SparseTensorProtoSchema,
  type TensorProto,
  TensorProto_DataLocation,
  TensorProto_DataType,
  TensorProtoSchema,
  TensorShapeProto_DimensionSchema,
  ValueInfoProtoSchema,
} from 'onnx-buf'
import { below, pick, type Random } from './bytes.js'

/** Changes one thing of a model, in place. */
export type Change = (model: ModelProto, random: Random) => void

const graphOf = (model: ModelProto) => model.graph as GraphProto
const nodeOf = (model: ModelProto, random: Random) => pick(random, graphOf(model).node)
const weightOf = (model: ModelProto, random: Random) => pick(random, graphOf(model).initializer)

/** Sizes and positions that nobody should ask for, and some that one may. */
const numbers = [
  -1n,
  0n,
  1n,
  2n,
  3n,
  5n,
  7n,
  64n,
  1000n,
  -2n,
  -7n,
  65_536n,
  2n ** 31n - 1n,
  2n ** 31n,
  2n ** 32n,
  2n ** 40n,
  2n ** 62n,
  2n ** 63n - 1n,
  -(2n ** 31n),
  -(2n ** 63n),
]
const types = Object.values(TensorProto_DataType).filter(
  (v): v is TensorProto_DataType => typeof v === 'number',
)
const operators =
  'Add Mul Div Sub Pow Relu Sigmoid Softmax Conv ConvTranspose Gemm MatMul MaxPool AveragePool GlobalAveragePool Concat Split Slice Reshape Transpose Flatten Squeeze Unsqueeze Expand Tile Pad Resize Gather ScatterND Shape Size Range ConstantOfShape Cast Where ReduceMean ReduceSum ArgMax BatchNormalization LayerNormalization InstanceNormalization LRN LSTM GRU Einsum TopK NonMaxSuppression OneHot CumSum DepthToSpace SpaceToDepth If Loop Scan Identity Dropout Constant Nonexistent QuantizeLinear DequantizeLinear ConvInteger MatMulInteger Compress Unique NonZero GridSample RoiAlign MaxUnpool StringNormalizer SequenceAt Optional BitShift Det Bernoulli RandomNormal'.split(
    ' ',
  )
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

/** A constant of whole numbers, put among the initializers. */
function ints(model: ModelProto, name: string, values: readonly bigint[]): string {
  graphOf(model).initializer.push(
    create(TensorProtoSchema, {
      name,
      dataType: TensorProto_DataType.INT64,
      dims: [BigInt(values.length)],
      int64Data: [...values],
    }),
  )
  return name
}

/** A node behind the network's first input whose result is another output. */
function append(model: ModelProto, opType: string, input: string[], attribute: object[] = []): void {
  const g = graphOf(model)
  g.node.push(
    create(NodeProtoSchema, { opType, name: 'giant', input, output: ['giant'], attribute: attribute as [] }),
  )
  g.output.push(create(ValueInfoProtoSchema, { name: 'giant' }))
}

const giants: readonly ((model: ModelProto, random: Random) => void)[] = [
  (m, r) => append(m, 'ConstantOfShape', [ints(m, 'big', [2n ** BigInt(10 + below(r, 30)), 2n ** 12n])]),
  (m, r) =>
    append(m, 'Expand', [
      graphOf(m).initializer[0].name,
      ints(m, 'big', [2n ** BigInt(10 + below(r, 30)), 1n, 1n, 1n, 1n]),
    ]),
  (m, r) => append(m, 'Tile', [ints(m, 'flat', [1n, 2n]), ints(m, 'big', [2n ** BigInt(10 + below(r, 40))])]),
  (m, r) =>
    append(m, 'Range', [
      scalar(m, 'from', 0n),
      scalar(m, 'to', 2n ** BigInt(20 + below(r, 40))),
      scalar(m, 'step', 1n),
    ]),
  (m, r) =>
    append(m, 'Pad', [
      graphOf(m).input[0].name,
      ints(
        m,
        'big',
        graphOf(m).input[0].type?.value.case === 'tensorType'
          ? pads(m, 2n ** BigInt(10 + below(r, 30)))
          : [1n],
      ),
    ]),
  (m, r) =>
    append(m, 'Reshape', [graphOf(m).input[0].name, ints(m, 'big', [2n ** BigInt(below(r, 62)), -1n])]),
  (m, r) =>
    append(m, 'OneHot', [
      ints(m, 'at', [0n, 1n]),
      scalar(m, 'depth', 2n ** BigInt(20 + below(r, 40))),
      ints(m, 'off', [0n, 1n]),
    ]),
]

function scalar(model: ModelProto, name: string, value: bigint): string {
  const made = ints(model, name, [value])
  const t = graphOf(model).initializer.at(-1) as TensorProto
  t.dims = []
  return made
}

function pads(model: ModelProto, size: bigint): bigint[] {
  const type = graphOf(model).input[0].type?.value
  const rank = type?.case === 'tensorType' ? (type.value.shape?.dim.length ?? 0) : 0
  return Array.from({ length: 2 * rank }, (_, i) => (i === 2 * rank - 1 ? size : 0n))
}

/** If within If: `depth` of them. */
function nested(depth: number): GraphProto {
  let inner = create(GraphProtoSchema, {
    name: 'innermost',
    output: [create(ValueInfoProtoSchema, { name: 'deep' })],
  })
  for (let k = 0; k < depth; k++) {
    const attribute = ['then_branch', 'else_branch'].map((name, i) =>
      create(AttributeProtoSchema, { name, type: A.GRAPH, g: i === 0 ? inner : create(GraphProtoSchema) }),
    )
    const node = create(NodeProtoSchema, { opType: 'If', input: ['c'], output: [`d${k}`], attribute })
    inner = create(GraphProtoSchema, {
      name: `g${k}`,
      node: [node],
      output: [create(ValueInfoProtoSchema, { name: `d${k}` })],
    })
  }
  return inner
}

function inputSizes(model: ModelProto, random: Random, sizes: readonly bigint[]): void {
  const type = pick(random, graphOf(model).input).type?.value
  if (type?.case !== 'tensorType' || !type.value.shape) return
  const dim = pick(random, type.value.shape.dim)
  dim.value = { case: 'dimValue', value: pick(random, sizes) }
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

const oddNames = [
  '',
  '__proto__',
  'constructor',
  'toString',
  'a\nb',
  '\x1b[31mred',
  'x'.repeat(1_000_000),
  'ü'.repeat(9),
  '\u0000',
  '../..',
  '@',
  'NaN',
  '0',
]

function rename(model: ModelProto, from: string, to: string): void {
  const g = graphOf(model)
  const change = (list: string[]) => list.map((v) => (v === from ? to : v))
  for (const n of g.node) {
    n.input = change(n.input)
    n.output = change(n.output)
  }
  for (const v of [...g.input, ...g.output, ...g.initializer, ...g.valueInfo])
    if (v.name === from) v.name = to
}

/** Ways to damage a model by what it says, each with a file that any reader of the format accepts. */
export const changes: Readonly<Record<string, Change>> = {
  'giant input': (m, r) =>
    inputSizes(m, r, [2n ** 20n, 2n ** 31n, 2n ** 40n, 2n ** 62n, 2n ** 63n - 1n, 50_000n]),
  'odd input size': (m, r) => inputSizes(m, r, numbers),
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
  'giant constant': (m, r) => pick(r, giants)(m, r),
  cycle: (m, r) => {
    const [a, b] = [nodeOf(m, r), nodeOf(m, r)]
    if (a.input.length > 0) a.input[below(r, a.input.length)] = pick(r, b.output)
  },
  'value made twice': (m, r) => {
    const [a, b] = [nodeOf(m, r), nodeOf(m, r)]
    b.output[0] = r() < 0.5 ? a.output[0] : pick(r, [...graphOf(m).input, ...graphOf(m).initializer]).name
  },
  'declared twice': (m, r) => {
    const g = graphOf(m)
    const again = <T>(list: T[]) => void (list.length > 0 && list.push(pick(r, list)))
    const n = nodeOf(m, r)
    pick(r, [
      () => again(g.initializer),
      () => again(g.input),
      () => again(g.output),
      () => again(g.valueInfo),
      () => again(g.node),
      () => again(m.opsetImport),
      () => again(n.attribute),
    ])()
  },
  'missing value': (m, r) => {
    const n = nodeOf(m, r)
    if (n.input.length > 0) n.input[below(r, n.input.length)] = 'nowhere'
  },
  'inputs moved': (m, r) => {
    const n = nodeOf(m, r)
    const way = below(r, 5)
    if (way === 0) n.input.reverse()
    else if (way === 1) n.input.pop()
    else if (way === 2) n.input.push(pick(r, graphOf(m).initializer).name)
    else if (way === 3 && n.input.length > 0) n.input[below(r, n.input.length)] = ''
    else n.input = Array.from({ length: below(r, 300) }, () => n.input[0] ?? '')
  },
  'outputs moved': (m, r) => {
    const way = below(r, 4)
    const n = nodeOf(m, r)
    if (way === 0) n.output.push('extra')
    else if (way === 1) n.output = []
    else if (way === 2) n.output[0] = ''
    else
      graphOf(m).output.push(create(ValueInfoProtoSchema, { name: pick(r, graphOf(m).node).output[0] ?? '' }))
  },
  'another element type': (m, r) => {
    const t = weightOf(m, r)
    const type = pick(r, types)
    const size = dtypeSizes[type]
    if (size && r() < 0.7)
      t.rawData = new Uint8Array(Math.min(1_000_000, Number(t.dims.reduce((n, d) => n * d, 1n)) * size))
    t.dataType = type
  },
  'input of another type': (m, r) => {
    const v = pick(r, [...graphOf(m).input, ...graphOf(m).output])
    if (v.type?.value.case === 'tensorType') v.type.value.value.elemType = pick(r, [...types, 99, -1])
    if (r() < 0.2) v.type = undefined
  },
  'attributes of another node': (m, r) => {
    nodeOf(m, r).attribute = nodeOf(m, r).attribute
  },
  'attribute of another type': (m, r) => {
    const n = nodeOf(m, r)
    if (n.attribute.length === 0) return
    const a = pick(r, n.attribute)
    a.type = pick(r, [
      A.FLOAT,
      A.INT,
      A.STRING,
      A.TENSOR,
      A.GRAPH,
      A.FLOATS,
      A.INTS,
      A.STRINGS,
      A.GRAPHS,
      A.UNDEFINED,
    ])
  },
  'attribute of another value': (m, r) => {
    const n = nodeOf(m, r)
    if (n.attribute.length === 0) {
      const name = pick(r, [
        'axis',
        'axes',
        'perm',
        'group',
        'kernel_shape',
        'strides',
        'pads',
        'dilations',
        'keepdims',
      ])
      const list = r() < 0.5
      n.attribute.push(
        create(AttributeProtoSchema, {
          name,
          type: list ? A.INTS : A.INT,
          i: pick(r, numbers),
          ints: list ? [pick(r, numbers), pick(r, numbers)] : [],
        }),
      )
      return
    }
    const a = pick(r, n.attribute)
    if (r() < 0.1) a.ints = []
    else if (a.ints.length > 0) a.ints[below(r, a.ints.length)] = pick(r, numbers)
    a.i = pick(r, numbers)
    a.f = pick(r, [0, -1, Number.NaN, Number.POSITIVE_INFINITY, 1e30])
    if (a.s.length > 0)
      a.s = new TextEncoder().encode(pick(r, ['', 'SAME_UPPER', 'linear', 'nonsense', 'x'.repeat(1000)]))
  },
  'another operator': (m, r) => {
    nodeOf(m, r).opType = pick(r, operators)
  },
  'another domain': (m, r) => {
    nodeOf(m, r).domain = pick(r, [
      'com.microsoft',
      'ai.onnx.ml',
      'ai.onnx.training',
      'nowhere',
      'com.microsoft.nchwc',
      'com.ms.internal.nhwc',
    ])
  },
  'another opset': (m, r) => {
    const version = pick(r, [0n, 1n, 6n, 7n, 9n, 11n, 12n, 13n, 18n, 21n, 24n, 99n, -1n, 2n ** 62n])
    if (r() < 0.2) m.opsetImport = []
    else if (m.opsetImport[0]) m.opsetImport[0].version = version
    else m.opsetImport.push(create(OperatorSetIdProtoSchema, { version }))
    if (r() < 0.2) m.irVersion = version
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
  'deep nesting': (m, r) => {
    const g = nested(pick(r, [3, 10, 25, 31, 32, 33, 100, 500]))
    nodeOf(m, r).attribute.push(create(AttributeProtoSchema, { name: 'then_branch', type: A.GRAPH, g }))
  },
  'odd name': (m, r) => {
    const g = graphOf(m)
    rename(m, pick(r, [...g.input, ...g.output, ...g.initializer]).name, pick(r, oddNames))
    if (r() < 0.3) nodeOf(m, r).name = pick(r, oddNames)
    if (r() < 0.2) nodeOf(m, r).opType = pick(r, oddNames)
  },
  'many nodes': (m, r) => {
    const g = graphOf(m)
    let last = g.input[0]?.name ?? ''
    for (let k = pick(r, [100, 1_000, 4_000, 60_000]); k > 0; k--) {
      g.node.push(create(NodeProtoSchema, { opType: 'Identity', input: [last], output: [`many${k}`] }))
      last = `many${k}`
    }
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
  'function that calls itself': (m, r) => {
    const n = nodeOf(m, r)
    const own = create(NodeProtoSchema, { opType: 'Own', domain: 'own', input: ['a'], output: ['b'] })
    m.functions.push(
      create(FunctionProtoSchema, {
        name: 'Own',
        domain: 'own',
        input: ['a'],
        output: ['b'],
        node: [own],
        opsetImport: [...m.opsetImport, create(OperatorSetIdProtoSchema, { domain: 'own', version: 1n })],
      }),
    )
    m.opsetImport.push(create(OperatorSetIdProtoSchema, { domain: 'own', version: 1n }))
    Object.assign(n, {
      opType: 'Own',
      domain: 'own',
      attribute: [],
      input: n.input.slice(0, 1),
      output: n.output.slice(0, 1),
    })
  },
  'dimension unsaid': (m, r) => {
    const type = pick(r, graphOf(m).input).type?.value
    if (type?.case !== 'tensorType' || !type.value.shape) return
    if (r() < 0.3) type.value.shape = undefined
    else
      type.value.shape.dim[below(r, type.value.shape.dim.length)] = create(TensorShapeProto_DimensionSchema)
  },
  'nothing left': (m, r) => {
    const g = graphOf(m)
    const what = pick(r, ['node', 'initializer', 'input', 'output'] as const)
    g[what] = []
  },
}
