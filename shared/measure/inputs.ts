import type { InferenceSession } from 'onnxruntime-common'
import { EspalierError } from '../errors.js'
import type { Shapes } from './protocol.js'

interface Input {
  readonly name: string
  readonly type: string
  readonly dims: readonly number[]
  readonly data: ArrayBufferView
}

const arrays: Readonly<Record<string, new (length: number) => ArrayBufferView>> = {
  float32: Float32Array,
  float64: Float64Array,
  float16: Uint16Array,
  int8: Int8Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  uint8: Uint8Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
  uint64: BigUint64Array,
  bool: Uint8Array,
}

/** An input may hold this much; a model that declares more is not measured. */
const MAX_BYTES = 2 ** 30

/**
 * One input of batch 1 for each that the model declares: float32 holds a fixed pattern in [−1, 1), other types zeros.
 * A dynamic first dimension is 1; any other has to be given by `shapes`.
 * @throws DIMENSION_UNKNOWN for a dynamic dimension that is not given; OPTION_INVALID for a given shape that
 *   contradicts the model; MODEL_UNSUPPORTED for an input that is no tensor of numbers, or too large.
 */
export function inputsOf(metadata: readonly InferenceSession.ValueMetadata[], shapes: Shapes = {}): Input[] {
  return metadata.map((input) => {
    const make = input.isTensor ? arrays[input.type] : undefined
    if (!input.isTensor || !make)
      throw new EspalierError('MODEL_UNSUPPORTED', `input '${input.name}' is no tensor of numbers`)
    const dims = dimsOf(input.name, input.shape, shapes[input.name])
    const count = dims.reduce((n, d) => n * d, 1)
    if (!(count * 8 <= MAX_BYTES))
      throw new EspalierError('MODEL_UNSUPPORTED', `input '${input.name}' [${dims}] is too large to measure`)
    const data = new make(count)
    if (data instanceof Float32Array) fill(data)
    return { name: input.name, type: input.type, dims, data }
  })
}

/** A fixed pattern in [−1, 1). */
export function fill(data: Float32Array): void {
  for (let i = 0; i < data.length; i++) data[i] = ((i * 7919) % 257) / 128.5 - 1
}

function dimsOf(name: string, declared: readonly (number | string)[], given?: readonly number[]): number[] {
  if (given) {
    const fits =
      given.length === declared.length &&
      given.every((d, i) => Number.isSafeInteger(d) && d > 0 && (isDynamic(declared[i]) || declared[i] === d))
    if (fits) return [...given]
    throw new EspalierError(
      'OPTION_INVALID',
      `input '${name}' is declared as [${declared}]; the shape [${given}] does not fit it`,
    )
  }
  return declared.map((d, i) => {
    if (!isDynamic(d)) return Number(d)
    if (i === 0) return 1
    throw new EspalierError(
      'DIMENSION_UNKNOWN',
      `input '${name}' has the dynamic shape [${declared}]; say its size with --shape ${name}=1,…`,
    )
  })
}

const isDynamic = (d: number | string) => typeof d === 'string' || d < 0
