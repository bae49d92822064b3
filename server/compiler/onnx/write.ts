import { create, toBinary } from '@bufbuild/protobuf'
import {
  AttributeProto_AttributeType as A,
  type AttributeProto,
  AttributeProtoSchema,
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
  StringStringEntryProtoSchema,
  TypeProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from 'onnx-buf'
import type { Attribute, Dim, Graph, Node, Value } from '../graph/index.js'
import { codeOf } from './dtype.js'
import { domainOf } from './read.js'
import { encodeTensor } from './tensor.js'

/** For graphs made here, not read: known to every onnxruntime since 1.18. */
const IR_VERSION = 10n

/**
 * A Graph as the bytes of an ONNX file. What came from a file and was not changed is written as it came, unknown
 * fields included; tensors whose data lay in external files were taken in when they were read.
 */
export function writeModel(graph: Graph): Uint8Array<ArrayBuffer> {
  const origin = graph.origin as ModelProto | undefined
  const was = origin?.graph
  const listed = new Map(was?.input.map((v) => [v.name, v]))
  const alsoInputs = [...graph.initializers].flatMap(([name, { dtype, dims }]) => {
    const v = listed.get(name)
    return v ? [valueProto({ name, dtype, dims, origin: v })] : []
  })
  return toBinary(ModelProtoSchema, {
    ...(origin ?? create(ModelProtoSchema, { irVersion: IR_VERSION, producerName: 'espalier' })),
    opsetImport: opsetImport(graph, origin),
    metadataProps: [...graph.metadata].map(([key, value]) =>
      create(StringStringEntryProtoSchema, { key, value }),
    ),
    graph: {
      ...(was ?? create(GraphProtoSchema)),
      name: graph.name,
      node: graph.nodes.map(nodeProto),
      initializer: [...graph.initializers].map(([name, t]) => encodeTensor(t, name)),
      input: [...graph.inputs.map(valueProto), ...alsoInputs],
      output: graph.outputs.map(valueProto),
      valueInfo: [...graph.values.values()].map(valueProto),
    },
  })
}

const opsetImport = (graph: Graph, origin?: ModelProto) =>
  [...graph.opsets].map(
    ([domain, version]) =>
      origin?.opsetImport.find((o) => domainOf(o.domain) === domain && o.version === BigInt(version)) ??
      create(OperatorSetIdProtoSchema, { domain, version: BigInt(version) }),
  )

function nodeProto(n: Node): NodeProto {
  const origin = n.origin as NodeProto | undefined
  return {
    ...(origin ?? create(NodeProtoSchema, { name: n.name, domain: n.domain })),
    opType: n.op,
    input: [...n.inputs],
    output: [...n.outputs],
    attribute: [...n.attributes].map(([name, a]) => attributeProto(name, a)),
  }
}

/** An attribute that came from a file keeps its proto: an edit replaces the whole Attribute, which then has no origin. */
function attributeProto(name: string, a: Attribute): AttributeProto {
  const origin = a.origin as AttributeProto | undefined
  if (origin) return origin
  const bytes = (s: string) => new TextEncoder().encode(s)
  const make = (
    fields: Partial<Pick<AttributeProto, 'type' | 'f' | 'i' | 's' | 'floats' | 'ints' | 'strings' | 't'>>,
  ) => create(AttributeProtoSchema, { name, ...fields })
  switch (a.type) {
    case 'float':
      return make({ type: A.FLOAT, f: a.value })
    case 'int':
      return make({ type: A.INT, i: BigInt(a.value) })
    case 'string':
      return make({ type: A.STRING, s: bytes(a.value) })
    case 'floats':
      return make({ type: A.FLOATS, floats: [...a.value] })
    case 'ints':
      return make({ type: A.INTS, ints: a.value.map(BigInt) })
    case 'strings':
      return make({ type: A.STRINGS, strings: a.value.map(bytes) })
    case 'tensor':
      return make({ type: A.TENSOR, t: encodeTensor(a.value, '') })
    case 'graph':
    case 'other':
      throw new Error(`attribute '${name}' of type ${a.type} can only be carried from a file, not made`)
  }
}

function valueProto(v: Value): ValueInfoProto {
  const origin = v.origin as ValueInfoProto | undefined
  const base = { ...(origin ?? create(ValueInfoProtoSchema)), name: v.name }
  const type = origin?.type?.value
  if (type && type.case !== 'tensorType') return base
  if (!type && v.dtype === 'other') {
    // The runtime infers what is not said.
    base.type = create(TypeProtoSchema)
    return base
  }
  const dim = (d: Dim, i: number) => ({
    denotation: type?.value.shape?.dim[i]?.denotation || undefined,
    value:
      d === null
        ? ({ case: undefined } as const)
        : typeof d === 'number'
          ? ({ case: 'dimValue', value: BigInt(d) } as const)
          : ({ case: 'dimParam', value: d } as const),
  })
  base.type = create(TypeProtoSchema, {
    denotation: origin?.type?.denotation || undefined,
    value: {
      case: 'tensorType',
      value: {
        elemType: v.dtype === 'other' && type ? type.value.elemType : codeOf(v.dtype),
        shape: v.dims ? { dim: v.dims.map(dim) } : undefined,
      },
    },
  })
  return base
}
