import { create } from '@bufbuild/protobuf'
import { type ModelProto, TensorShapeProto_DimensionSchema } from 'onnx-buf'
import { below, pick, type Random } from './bytes.js'
import { type Change, graphOf, numbers, types } from './parts.js'

/** Gives one dimension of an input one of the sizes. */
export function inputSizes(model: ModelProto, random: Random, sizes: readonly bigint[]): void {
  const type = pick(random, graphOf(model).input).type?.value
  if (type?.case !== 'tensorType' || !type.value.shape) return
  const dim = pick(random, type.value.shape.dim)
  dim.value = { case: 'dimValue', value: pick(random, sizes) }
}

/** What the network says of its inputs and outputs. */
export const inputs = {
  'giant input': (m, r) =>
    inputSizes(m, r, [2n ** 20n, 2n ** 31n, 2n ** 40n, 2n ** 62n, 2n ** 63n - 1n, 50_000n]),
  'odd input size': (m, r) => inputSizes(m, r, numbers),
  'input of another type': (m, r) => {
    const v = pick(r, [...graphOf(m).input, ...graphOf(m).output])
    if (v.type?.value.case === 'tensorType') v.type.value.value.elemType = pick(r, [...types, 99, -1])
    if (r() < 0.2) v.type = undefined
  },
  'dimension unsaid': (m, r) => {
    const type = pick(r, graphOf(m).input).type?.value
    if (type?.case !== 'tensorType' || !type.value.shape) return
    if (r() < 0.3) type.value.shape = undefined
    else
      type.value.shape.dim[below(r, type.value.shape.dim.length)] = create(TensorShapeProto_DimensionSchema)
  },
} satisfies Record<string, Change>
