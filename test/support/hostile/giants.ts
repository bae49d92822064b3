import { create } from '@bufbuild/protobuf'
import {
  type ModelProto,
  NodeProtoSchema,
  type TensorProto,
  TensorProto_DataType,
  TensorProtoSchema,
  ValueInfoProtoSchema,
} from 'onnx-buf'
import { below, pick } from './bytes.js'
import { type Change, graphOf } from './parts.js'

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

const constants: readonly Change[] = [
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

/** What asks for sizes that nobody has the memory for. */
export const giants = {
  'giant constant': (m, r) => pick(r, constants)(m, r),
} satisfies Record<string, Change>
