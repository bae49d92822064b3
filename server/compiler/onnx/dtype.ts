import { TensorProto_DataType as T } from 'onnx-buf'
import type { DType } from '../graph/index.js'

const names: ReadonlyMap<number, DType> = new Map([
  [T.FLOAT, 'float32'],
  [T.DOUBLE, 'float64'],
  [T.FLOAT16, 'float16'],
  [T.BFLOAT16, 'bfloat16'],
  [T.INT8, 'int8'],
  [T.INT16, 'int16'],
  [T.INT32, 'int32'],
  [T.INT64, 'int64'],
  [T.UINT8, 'uint8'],
  [T.UINT16, 'uint16'],
  [T.UINT32, 'uint32'],
  [T.UINT64, 'uint64'],
  [T.BOOL, 'bool'],
  [T.STRING, 'string'],
])
const codes = new Map([...names].map(([code, name]) => [name, code]))

/** ONNX's element type code as a DType; what Espalier does not compute with is `other`. */
export const dtypeOf = (code: number): DType => names.get(code) ?? 'other'

/** ONNX's code for an element type; UNDEFINED for `other`. */
export const codeOf = (dtype: DType): number => codes.get(dtype) ?? T.UNDEFINED
