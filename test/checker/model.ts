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
    const own = new Map<string, string>()
    const extra = [...values].flatMap(([name, c]) => {
      if (this.constants().has(name)) return []
      const { constant, output } = split(name)
      own.set(output, constant)
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
          const constant = n.output.map((o) => own.get(o)).find((c) => c !== undefined)
          const output = n.output.find((o) => own.has(o))
          const c = n.opType === 'Constant' ? values.get(n.output[0]) : undefined
          return {
            ...n,
            input: n.input.map((i) =>
              constant !== undefined && i === constant ? `${constant}@${output}` : i,
            ),
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

function decode(t: TensorProto): Constant {
  const dims = t.dims.map(Number)
  const raw = t.rawData
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength)
  const each = (size: number, read: (at: number) => number) =>
    Array.from({ length: raw.length / size }, (_, i) => read(i * size))
  const typed = (field: readonly (number | bigint)[]) => field.map(Number)
  const values = {
    [T.FLOAT]: () => (raw.length ? each(4, (at) => view.getFloat32(at, true)) : typed(t.floatData)),
    [T.DOUBLE]: () => (raw.length ? each(8, (at) => view.getFloat64(at, true)) : typed(t.doubleData)),
    [T.INT64]: () => (raw.length ? each(8, (at) => Number(view.getBigInt64(at, true))) : typed(t.int64Data)),
    [T.INT32]: () => (raw.length ? each(4, (at) => view.getInt32(at, true)) : typed(t.int32Data)),
  }[t.dataType]
  return { type: t.dataType, dims, values: values?.() ?? [] }
}

const encode = (c: Constant, name: string): TensorProto =>
  create(TensorProtoSchema, {
    name,
    dataType: c.type,
    dims: c.dims.map(BigInt),
    ...(c.type === T.DOUBLE ? { doubleData: [...c.values] } : { floatData: [...c.values] }),
  })
