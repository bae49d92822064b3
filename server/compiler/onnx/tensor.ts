import { create } from '@bufbuild/protobuf'
import { EspalierError } from '@espalier/shared'
import { type TensorProto, TensorProto_DataLocation, TensorProtoSchema } from 'onnx-buf'
import { arrayOf, elementBytes, elementCount, type NumericArray, type Tensor } from '../graph/index.js'
import { most } from '../most.js'
import { codeOf, dtypeOf } from './dtype.js'

/** Gives bytes of an external data file by the location that the model names; without a length, all behind the offset. */
export type ExternalData = (location: string, offset: number, length?: number) => Uint8Array<ArrayBuffer>

/**
 * Compares the shape that a tensor declares with the data that it has; data from another file are taken in.
 * @throws MODEL_INVALID where they do not agree; MODEL_TOO_HEAVY for more dimensions than `most` allows;
 *   EXTERNAL_DATA_INVALID where the data lie in a file that is missing, too short, or not to be read.
 */
export function checkTensor(proto: TensorProto, external?: ExternalData): void {
  const negative = proto.dims.find((d) => d < 0n)
  if (negative !== undefined) throw invalid(proto, `has a negative dimension (${negative})`)
  if (proto.dims.length > most.rank) throw heavy(proto, `has ${proto.dims.length} dimensions`)
  const dims = proto.dims.map(Number)
  const count = elementCount(dims)
  if (count === 0 && elementCount(dims.filter((d) => d > 0)) > most.emptyElements)
    throw heavy(proto, `is empty, but declares [${dims}]`)
  const size = elementBytes(dtypeOf(proto.dataType))
  const bytes = count * size
  const declares = `declares [${dims}] ${dtypeOf(proto.dataType)} (${bytes} bytes)`
  if (proto.dataLocation === TensorProto_DataLocation.EXTERNAL) {
    takeIn(proto, external, size === 0 ? undefined : bytes)
    if (size > 0 && proto.rawData.length !== bytes)
      throw invalid(proto, `${declares} but its file has ${proto.rawData.length} bytes for it`)
  }
  if (size === 0) return
  if (proto.rawData.length > 0) {
    if (proto.rawData.length !== bytes)
      throw invalid(proto, `${declares} but carries ${proto.rawData.length} bytes`)
    return
  }
  const { length } = typedField(proto)
  if (length !== count) throw invalid(proto, `declares [${dims}] (${count} elements) but carries ${length}`)
}

/** A checked TensorProto as a Tensor, sharing its bytes where they are aligned. */
export function decodeTensor(proto: TensorProto): Tensor {
  const dtype = dtypeOf(proto.dataType)
  const dims = proto.dims.map(Number)
  const size = elementBytes(dtype)
  if (size === 0) return { dtype, dims, data: new Uint8Array(0), origin: proto }
  const make = arrayOf(dtype)
  const raw = proto.rawData
  if (raw.length > 0) {
    const bytes = raw.byteOffset % size === 0 ? raw : new Uint8Array(raw)
    return { dtype, dims, data: new make(bytes.buffer, bytes.byteOffset, elementCount(dims)), origin: proto }
  }
  const values = typedField(proto)
  const wide = dtype === 'int64' || dtype === 'uint64'
  const data: NumericArray = wide
    ? (make as typeof BigInt64Array).from(values as bigint[])
    : (make as typeof Float32Array).from(values as number[])
  return { dtype, dims, data, origin: proto }
}

/** A Tensor as a TensorProto; one that came from a reader and was not changed is handed back as it was. */
export function encodeTensor(tensor: Tensor, name: string): TensorProto {
  const origin = tensor.origin as TensorProto | undefined
  if (origin) return origin.name === name ? origin : { ...origin, name }
  if (tensor.dtype === 'string' || tensor.dtype === 'other') {
    throw new EspalierError(
      'MODEL_UNSUPPORTED',
      `tensor '${name}' of type ${tensor.dtype} can be kept but not made`,
    )
  }
  const { buffer, byteOffset, byteLength } = tensor.data
  return create(TensorProtoSchema, {
    name,
    dataType: codeOf(tensor.dtype),
    dims: tensor.dims.map(BigInt),
    rawData: new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength),
  })
}

function typedField(p: TensorProto): readonly (number | bigint)[] {
  switch (dtypeOf(p.dataType)) {
    case 'float32':
      return p.floatData
    case 'float64':
      return p.doubleData
    case 'int64':
      return p.int64Data
    case 'uint64':
      return p.uint64Data
    case 'uint32':
      return p.uint64Data.map(Number)
    default:
      return p.int32Data
  }
}

/** Reads the tensor's data from its file: `expected` bytes, where that is known. */
function takeIn(proto: TensorProto, external: ExternalData | undefined, expected?: number): void {
  const entries = new Map(proto.externalData.map((e) => [e.key, e.value]))
  const location = entries.get('location') ?? ''
  const refuse = (why: string) =>
    new EspalierError(
      'EXTERNAL_DATA_INVALID',
      `tensor '${proto.name}' keeps its data in '${location}'; ${why}`,
    )
  if (!external) throw refuse('give the model as a file with that file beside it')
  const whole = (key: string) => {
    const text = entries.get(key)
    if (text === undefined) return undefined
    if (!/^\d{1,15}$/.test(text))
      throw refuse(`its ${key} there ('${text.slice(0, 20)}') is no number of bytes`)
    return Number(text)
  }
  proto.rawData = external(location, whole('offset') ?? 0, whole('length') ?? expected)
  proto.dataLocation = TensorProto_DataLocation.DEFAULT
  proto.externalData = []
}

const heavy = (p: TensorProto, what: string) =>
  new EspalierError(
    'MODEL_TOO_HEAVY',
    `tensor '${p.name || '(unnamed)'}' ${what}: more than can be worked with`,
  )

const invalid = (p: TensorProto, what: string) =>
  new EspalierError('MODEL_INVALID', `tensor '${p.name || '(unnamed)'}' ${what}; export the model again`)
