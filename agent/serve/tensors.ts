import { EspalierError } from '@espalier/shared'

/** What the protocol sends of a tensor. */
export interface SentTensor {
  readonly name: string
  readonly shape: readonly number[]
  readonly datatype: string
  readonly data?: readonly unknown[]
}

interface Kind {
  /** The runtime's name of the type. */
  readonly type: string
  readonly array: { new (length: number): Values; readonly BYTES_PER_ELEMENT: number }
  readonly from: (buffer: ArrayBuffer) => Values
  /** Smallest and largest whole number; null for real numbers, which JSON gives as they are. */
  readonly range: readonly [number, number] | null
}

type Numbers =
  | Float32Array
  | Float64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | Uint8Array
  | Uint16Array
  | Uint32Array
export type Values = Numbers | BigInt64Array | BigUint64Array

const whole = (bits: number, signed: boolean) =>
  signed ? ([-(2 ** (bits - 1)), 2 ** (bits - 1) - 1] as const) : ([0, 2 ** bits - 1] as const)
const safe = Number.MAX_SAFE_INTEGER

const kind = <A extends Values>(
  type: string,
  array: { new (length: number): A; new (buffer: ArrayBuffer): A; readonly BYTES_PER_ELEMENT: number },
  range: Kind['range'],
): Kind => ({ type, array, from: (buffer) => new array(buffer), range })

/** The protocol's data types that are numbers, by its names. */
const kinds: Readonly<Record<string, Kind>> = {
  BOOL: kind('bool', Uint8Array, [0, 1]),
  UINT8: kind('uint8', Uint8Array, whole(8, false)),
  UINT16: kind('uint16', Uint16Array, whole(16, false)),
  UINT32: kind('uint32', Uint32Array, whole(32, false)),
  UINT64: kind('uint64', BigUint64Array, [0, safe]),
  INT8: kind('int8', Int8Array, whole(8, true)),
  INT16: kind('int16', Int16Array, whole(16, true)),
  INT32: kind('int32', Int32Array, whole(32, true)),
  INT64: kind('int64', BigInt64Array, [-safe, safe]),
  FP16: kind('float16', Uint16Array, null),
  FP32: kind('float32', Float32Array, null),
  FP64: kind('float64', Float64Array, null),
}

/** The protocol's name of a type of the runtime's, or null where it has none. */
export const datatypeOf = (type: string): string | null =>
  Object.entries(kinds).find(([, k]) => k.type === type)?.[0] ?? null

const refuse = (name: string, why: string) => new EspalierError('REQUEST_INVALID', `input '${name}': ${why}`)

/**
 * The values of an input, from its JSON (flat or nested) or from `binary` (little-endian, row-major).
 * @throws REQUEST_INVALID where type, count or a value is wrong
 */
export function decode(input: SentTensor, binary: Uint8Array | null): { type: string; values: Values } {
  const { name, datatype, shape, data } = input
  const found = kinds[datatype]
  if (!found) throw refuse(name, `the data type '${datatype}' is not one of ${Object.keys(kinds).join(', ')}`)
  const count = shape.reduce((n, d) => n * d, 1)
  const bytes = count * found.array.BYTES_PER_ELEMENT
  if (binary) {
    if (binary.byteLength !== bytes)
      throw refuse(
        name,
        `${binary.byteLength} bytes, where ${datatype} of shape [${shape.join(', ')}] has ${bytes}`,
      )
    const copy = new ArrayBuffer(bytes)
    new Uint8Array(copy).set(binary)
    return { type: found.type, values: found.from(copy) }
  }
  if (!data) throw refuse(name, 'neither data nor binary_data_size is given')
  if (datatype === 'FP16') throw refuse(name, 'FP16 has no form in JSON; send it as binary data')
  return { type: found.type, values: fromJson(name, data, found, count, shape) }
}

function fromJson(
  name: string,
  data: readonly unknown[],
  { array, range }: Kind,
  count: number,
  shape: readonly number[],
): Values {
  const flat: readonly unknown[] = data.some(Array.isArray)
    ? (data.flat(shape.length) as readonly unknown[])
    : data
  if (flat.length !== count)
    throw refuse(name, `${flat.length} values, where the shape [${shape.join(', ')}] has ${count}`)
  const values = new array(count)
  for (let i = 0; i < count; i++) {
    const value = typeof flat[i] === 'boolean' ? Number(flat[i]) : flat[i]
    const fits =
      typeof value === 'number' &&
      (range === null || (Number.isInteger(value) && value >= range[0] && value <= range[1]))
    if (!fits) throw refuse(name, `value ${i} is ${JSON.stringify(value)?.slice(0, 40)}, which does not fit`)
    if (values instanceof BigInt64Array || values instanceof BigUint64Array) values[i] = BigInt(value)
    else values[i] = value
  }
  return values
}

/** Values as JSON gives them; whole numbers beyond 2^53 are rounded, which binary data would not be. */
export const toJson = (type: string, values: Values): unknown[] =>
  type === 'bool'
    ? Array.from(values as Uint8Array, Boolean)
    : Array.from<number | bigint, number>(values, Number)

/** Values as little-endian bytes, without a copy. */
export const toBytes = (values: Values): Uint8Array =>
  new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
