import { fromBinary } from '@bufbuild/protobuf'
import { EspalierError } from '@espalier/shared'
import {
  AttributeProto_AttributeType as A,
  type AttributeProto,
  type GraphProto,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  type ValueInfoProto,
} from 'onnx-buf'
import {
  type Attribute,
  type AttributeValue,
  type Dim,
  Graph,
  type Node,
  type Tensor,
  topologicalOrder,
  type Value,
} from '../graph/index.js'
import { check } from './check.js'
import { dtypeOf } from './dtype.js'
import { scan } from './scan.js'
import { decodeTensor, type ExternalData } from './tensor.js'

/**
 * An ONNX file's bytes as a Graph. Whatever Espalier does not model is kept for `writeModel`.
 * @throws NOT_ONNX if the bytes are no ONNX model or are cut short; MODEL_INVALID if the model contradicts
 *   itself (a cycle, a value nobody provides, a tensor whose data do not fill its shape); MODEL_TOO_HEAVY if it
 *   declares more than `most` allows; EXTERNAL_DATA_INVALID where a tensor's file is missing or too short.
 */
export function readModel(bytes: Uint8Array, { external }: { external?: ExternalData } = {}): Graph {
  const model = parse(bytes)
  const proto = model.graph
  check(model, external)
  if (!proto || proto.output.length === 0) {
    throw new EspalierError(
      'NOT_ONNX',
      'this is not an ONNX model: it holds no graph with outputs; export the network to ONNX again',
    )
  }
  const initializers = new Map<string, Tensor>()
  for (const t of proto.initializer) initializers.set(t.name, decodeTensor(t))
  const sparse = proto.sparseInitializer.map((s) => s.values?.name ?? '')
  const inputs = proto.input.map(valueFrom).filter((v) => !initializers.has(v.name))
  const nodes = topologicalOrder(proto.node.map(nodeOf), [
    ...initializers.keys(),
    ...sparse,
    ...inputs.map((v) => v.name),
  ])
  const graph = new Graph({
    name: proto.name,
    nodes,
    initializers,
    inputs,
    outputs: proto.output.map(valueFrom),
    values: new Map(proto.valueInfo.map((v) => [v.name, valueFrom(v)])),
    opsets: new Map(model.opsetImport.map((o) => [domainOf(o.domain), Number(o.version)])),
    metadata: new Map(model.metadataProps.map((m) => [m.key, m.value])),
    origin: model,
  })
  for (const o of graph.outputs) {
    if (!graph.producer(o.name) && !initializers.has(o.name) && !inputs.some((i) => i.name === o.name)) {
      throw new EspalierError('MODEL_INVALID', `output '${o.name}' is computed by no node`)
    }
  }
  return graph
}

export const domainOf = (domain: string): string => (domain === 'ai.onnx' ? '' : domain)

function parse(bytes: Uint8Array): ModelProto {
  try {
    scan(bytes)
    return fromBinary(ModelProtoSchema, bytes)
  } catch (cause) {
    if (cause instanceof EspalierError) throw cause
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new EspalierError(
      'NOT_ONNX',
      `this is not an ONNX model, or it was cut short (${bytes.length} bytes: ${why})`,
      { cause },
    )
  }
}

function nodeOf(proto: NodeProto): Node {
  return {
    name: proto.name || proto.output.find((o) => o !== '') || proto.opType,
    op: proto.opType,
    domain: domainOf(proto.domain),
    inputs: proto.input,
    outputs: proto.output,
    attributes: new Map(
      proto.attribute.map((a) => [a.name, { ...attributeValue(a, proto), origin: a } as Attribute]),
    ),
    origin: proto,
  }
}

function attributeValue(a: AttributeProto, n: NodeProto): AttributeValue {
  const text = (b: Uint8Array) => new TextDecoder().decode(b)
  // 64-bit extremes mean "to the end" (Slice): they lose nothing by rounding.
  const whole = (v: bigint) => {
    const value = Number(v)
    const extreme = v >= 2n ** 62n || v <= -(2n ** 62n)
    if (Number.isSafeInteger(value) || extreme) return value
    throw new EspalierError(
      'MODEL_UNSUPPORTED',
      `attribute '${a.name}' of '${n.name}' (${n.opType}) is ${v}: beyond 2^53`,
    )
  }
  switch (a.type) {
    case A.FLOAT:
      return { type: 'float', value: a.f }
    case A.INT:
      return { type: 'int', value: whole(a.i) }
    case A.STRING:
      return { type: 'string', value: text(a.s) }
    case A.FLOATS:
      return { type: 'floats', value: a.floats }
    case A.INTS:
      return { type: 'ints', value: a.ints.map(whole) }
    case A.STRINGS:
      return { type: 'strings', value: a.strings.map(text) }
    case A.TENSOR:
      return a.t ? { type: 'tensor', value: decodeTensor(a.t) } : { type: 'other' }
    case A.GRAPH:
      return { type: 'graph', captures: a.g ? capturesOf(a.g) : [] }
    case A.GRAPHS:
      return { type: 'graph', captures: a.graphs.flatMap(capturesOf) }
    default:
      return { type: 'other' }
  }
}

/** Names that a subgraph reads from outside itself, those of its own subgraphs included. */
function capturesOf(graph: GraphProto): string[] {
  const own = new Set([
    ...graph.input.map((v) => v.name),
    ...graph.initializer.map((t) => t.name),
    ...graph.sparseInitializer.map((s) => s.values?.name ?? ''),
    ...graph.node.flatMap((n) => n.output),
  ])
  const read = graph.node.flatMap((n) => [
    ...n.input,
    ...n.attribute.flatMap((a) => [...(a.g ? capturesOf(a.g) : []), ...a.graphs.flatMap(capturesOf)]),
  ])
  read.push(...graph.output.map((o) => o.name))
  return [...new Set(read)].filter((name) => name !== '' && !own.has(name))
}

function valueFrom(proto: ValueInfoProto): Value {
  const type = proto.type?.value
  if (type?.case !== 'tensorType') return { name: proto.name, dtype: 'other', dims: null, origin: proto }
  const dims = type.value.shape?.dim.map((d): Dim => {
    if (d.value.case === 'dimParam') return d.value.value === '' ? null : d.value.value
    if (d.value.case !== 'dimValue') return null
    const size = Number(d.value.value)
    // Exporters write -1 where they mean "any".
    if (size === -1) return null
    if (size < 0)
      throw new EspalierError(
        'MODEL_INVALID',
        `value '${proto.name}' has a negative dimension (${size}); export the model again`,
      )
    return size
  })
  return { name: proto.name, dtype: dtypeOf(type.value.elemType), dims: dims ?? null, origin: proto }
}
