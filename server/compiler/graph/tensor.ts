/** Element types, by the names that onnxruntime uses. */
export const dtypes = [
  'float32',
  'float64',
  'float16',
  'bfloat16',
  'int8',
  'int16',
  'int32',
  'int64',
  'uint8',
  'uint16',
  'uint32',
  'uint64',
  'bool',
  'string',
  'other',
] as const
export type DType = (typeof dtypes)[number]

export type NumericArray =
  | Float32Array
  | Float64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigUint64Array

/**
 * A constant array in row-major order. `data` holds float16 and bfloat16 as their 16-bit patterns and bool
 * as 0 or 1; for `string` and `other`, which Espalier carries but never computes with, it is empty.
 * `origin` is whatever the reader attached, so that an unchanged tensor is written back as it came.
 */
export interface Tensor {
  readonly dtype: DType
  readonly dims: readonly number[]
  readonly data: NumericArray
  readonly origin?: object
}

const arrays = {
  float32: Float32Array,
  float64: Float64Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  int8: Int8Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  uint8: Uint8Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
  uint64: BigUint64Array,
  bool: Uint8Array,
  string: Uint8Array,
  other: Uint8Array,
} as const satisfies Record<DType, unknown>

/** The typed array that holds elements of `dtype`. */
export const arrayOf = (dtype: DType) => arrays[dtype]

/** Bytes of one element; 0 for `string` and `other`. */
export const elementBytes = (dtype: DType): number =>
  dtype === 'string' || dtype === 'other' ? 0 : arrays[dtype].BYTES_PER_ELEMENT

export const elementCount = (dims: readonly number[]): number => dims.reduce((n, d) => n * d, 1)

/** Row-major strides, in elements. */
export function stridesOf(dims: readonly number[]): number[] {
  const strides = new Array<number>(dims.length)
  let step = 1
  for (let i = dims.length - 1; i >= 0; i--) {
    strides[i] = step
    step *= dims[i]
  }
  return strides
}

export const tensor = (dtype: DType, dims: readonly number[], data: NumericArray): Tensor => ({
  dtype,
  dims,
  data,
})

/** A float32 tensor from numbers. */
export const floats = (dims: readonly number[], values: ArrayLike<number>): Tensor =>
  tensor('float32', dims, values instanceof Float32Array ? values : Float32Array.from(values))

/** A one-dimensional int64 tensor from numbers. */
export const int64s = (values: readonly number[]): Tensor =>
  tensor('int64', [values.length], BigInt64Array.from(values, BigInt))

/** The elements as ordinary numbers (64-bit integers are rounded to doubles, float16 is decoded). */
export function numbersOf({ dtype, data }: Tensor): number[] {
  if (dtype === 'float16') return Array.from(data as Uint16Array, halfToNumber)
  if (dtype === 'bfloat16') return Array.from(data as Uint16Array, bfloatToNumber)
  return Array.from(data as ArrayLike<number | bigint>, Number)
}

function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 31
  const fraction = bits & 1023
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

const bfloatView = new DataView(new ArrayBuffer(4))
function bfloatToNumber(bits: number): number {
  bfloatView.setUint32(0, bits << 16)
  return bfloatView.getFloat32(0)
}
