import { create } from '@bufbuild/protobuf'
import {
  AttributeProto_AttributeType as A,
  AttributeProtoSchema,
  FunctionProtoSchema,
  type GraphProto,
  GraphProtoSchema,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
  ValueInfoProtoSchema,
} from 'onnx-buf'
import { below, pick } from './bytes.js'
import { type Change, nodeOf, numbers } from './parts.js'

const operatorNames =
  'Add Mul Div Sub Pow Relu Sigmoid Softmax Conv ConvTranspose Gemm MatMul MaxPool AveragePool GlobalAveragePool Concat Split Slice Reshape Transpose Flatten Squeeze Unsqueeze Expand Tile Pad Resize Gather ScatterND Shape Size Range ConstantOfShape Cast Where ReduceMean ReduceSum ArgMax BatchNormalization LayerNormalization InstanceNormalization LRN LSTM GRU Einsum TopK NonMaxSuppression OneHot CumSum DepthToSpace SpaceToDepth If Loop Scan Identity Dropout Constant Nonexistent QuantizeLinear DequantizeLinear ConvInteger MatMulInteger Compress Unique NonZero GridSample RoiAlign MaxUnpool StringNormalizer SequenceAt Optional BitShift Det Bernoulli RandomNormal'.split(
    ' ',
  )

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

/** What nodes compute: operators, their attributes, opsets, subgraphs and functions. */
export const operators = {
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
    nodeOf(m, r).opType = pick(r, operatorNames)
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
  'deep nesting': (m, r) => {
    const g = nested(pick(r, [3, 10, 25, 31, 32, 33, 100, 500]))
    nodeOf(m, r).attribute.push(create(AttributeProtoSchema, { name: 'then_branch', type: A.GRAPH, g }))
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
} satisfies Record<string, Change>
