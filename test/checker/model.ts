import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import {
  type ModelProto,
  ModelProtoSchema,
  NodeProtoSchema,
  TensorProto_DataType as T,
  type TensorProto,
  TensorProtoSchema,
} from 'onnx-buf'

/** A constant as the checker sees it; `values` are doubles, whatever the file holds. */
export interface Constant {
  readonly type: number
  readonly dims: readonly number[]
  readonly values: readonly number[]
}

/** An ONNX file, read by nothing of Espalier's. */
export class Model {
  readonly proto: ModelProto
  #constants?: Map<string, Constant>
  constructor(bytes: Uint8Array) {
    this.proto = fromBinary(ModelProtoSchema, bytes)
  }

  get graph() {
    if (!this.proto.graph) throw new Error('the file holds no graph')
    return this.proto.graph
  }

  /** Initializers and Constant nodes by name. */
  constants(): Map<string, Constant> {
    this.#constants ??= this.#decoded()
    return this.#constants
  }

  #decoded(): Map<string, Constant> {
    const found = new Map<string, TensorProto>(this.graph.initializer.map((t) => [t.name, t]))
    for (const n of this.graph.node) {
      const value = n.opType === 'Constant' ? n.attribute.find((a) => a.name === 'value')?.t : undefined
      if (value) found.set(n.output[0], value)
    }
    return new Map([...found].map(([name, t]) => [name, decode(t)]))
  }

  bytes = (): Uint8Array => toBinary(ModelProtoSchema, this.proto)

  /**
   * The file with float constants replaced. `name@output` gives the node that makes `output` a constant of its own
   * in the place of `name`.
   */
  replaced(values: ReadonlyMap<string, Constant>): Uint8Array {
    const own = new Map<string, Set<string>>()
    const extra = [...values].flatMap(([name, c]) => {
      if (this.constants().has(name)) return []
      const { constant, output } = split(name)
      own.set(output, (own.get(output) ?? new Set()).add(constant))
      return [
        create(NodeProtoSchema, {
          opType: 'Constant',
          name,
          output: [name],
          attribute: [{ name: 'value', type: 4, t: encode(c, '') }],
        }),
      ]
    })
    const graph = {
      ...this.graph,
      initializer: this.graph.initializer.map((t) => {
        const c = values.get(t.name)
        return c ? encode(c, t.name) : t
      }),
      node: [
        ...extra,
        ...this.graph.node.map((n) => {
          const output = n.output.find((o) => own.has(o))
          const shared = output === undefined ? undefined : own.get(output)
          const c = n.opType === 'Constant' ? values.get(n.output[0]) : undefined
          return {
            ...n,
            input: n.input.map((i) => (shared?.has(i) ? `${i}@${output}` : i)),
            attribute: c
              ? n.attribute.map((a) => (a.name === 'value' ? { ...a, t: encode(c, '') } : a))
              : n.attribute,
          }
        }),
      ],
    }
    return toBinary(ModelProtoSchema, { ...this.proto, graph })
  }
}

/** `name@output`: the constant, and the output of the node that reads it. */
export function split(name: string): { constant: string; output: string } {
  const at = name.lastIndexOf('@')
  return { constant: name.slice(0, at), output: name.slice(at + 1) }
}

/** ONNX files are little-endian, and so is every machine that onnxruntime runs on. */
function decode(t: TensorProto): Constant {
  const { buffer } = new Uint8Array(t.rawData)
  const raw = t.rawData.length > 0
  const values = {
    [T.FLOAT]: () => Array.from(raw ? new Float32Array(buffer) : t.floatData),
    [T.DOUBLE]: () => Array.from(raw ? new Float64Array(buffer) : t.doubleData),
    [T.INT64]: () => Array.from(raw ? new BigInt64Array(buffer) : t.int64Data, Number),
    [T.INT32]: () => Array.from(raw ? new Int32Array(buffer) : t.int32Data),
    [T.INT8]: () => Array.from(raw ? new Int8Array(buffer) : t.int32Data),
    [T.UINT8]: () => Array.from(raw ? new Uint8Array(buffer) : t.int32Data),
  }[t.dataType]
  return { type: t.dataType, dims: t.dims.map(Number), values: values?.() ?? [] }
}

function encode(c: Constant, name: string): TensorProto {
  const arrays = {
    [T.DOUBLE]: Float64Array,
    [T.INT32]: Int32Array,
    [T.INT8]: Int8Array,
    [T.UINT8]: Uint8Array,
  } as const
  const { buffer } = (arrays[c.type as keyof typeof arrays] ?? Float32Array).from(c.values)
  return create(TensorProtoSchema, {
    name,
    dataType: c.type,
    dims: c.dims.map(BigInt),
    rawData: new Uint8Array(buffer),
  })
}
