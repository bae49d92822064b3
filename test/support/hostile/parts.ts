import { type GraphProto, type ModelProto, TensorProto_DataType } from 'onnx-buf'
import { pick, type Random } from './bytes.js'

/** Changes one thing of a model, in place. */
export type Change = (model: ModelProto, random: Random) => void

export const graphOf = (model: ModelProto) => model.graph as GraphProto
export const nodeOf = (model: ModelProto, random: Random) => pick(random, graphOf(model).node)
export const weightOf = (model: ModelProto, random: Random) => pick(random, graphOf(model).initializer)

/** Sizes and positions that nobody should ask for, and some that one may. */
export const numbers = [
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

export const types = Object.values(TensorProto_DataType).filter(
  (v): v is TensorProto_DataType => typeof v === 'number',
)
