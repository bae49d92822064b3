import { create } from '@bufbuild/protobuf'
import { EspalierError } from '@espalier/shared'
import { type TensorProto, TensorProto_DataLocation, TensorProtoSchema } from 'onnx-buf'
import { arrayOf, elementBytes, elementCount, type NumericArray, type Tensor } from '../graph/index.js'
import { codeOf, dtypeOf } from './dtype.js'

/** Gives the bytes of an external data file by the location that the model names. */
export type ExternalData = (location: string) => Uint8Array

/**
 * A TensorProto as a Tensor, sharing its bytes where they are aligned.
 * @throws MODEL_INVALID where the declared shape and the data present do not agree;
 *   EXTERNAL_DATA_INVALID where the data lies in a file that is missing or too short.
 */
export function decodeTensor(proto: TensorProto, external?: ExternalData): Tensor {
  const dtype = dtypeOf(proto.dataType)
  const dims = proto.dims.map((d) => {
    if (d < 0n) throw invalid(proto, `has a negative dimension (${d})`)
    return Number(d)
  })
  const size = elementBytes(dtype)
  if (size === 0) return { dtype, dims, data: new Uint8Array(0), origin: proto }
  const count = elementCount(dims)
  const make = arrayOf(dtype)
  const isExternal = proto.dataLocation === TensorProto_DataLocation.EXTERNAL
  const raw = isExternal ? externalBytes(proto, external) : proto.rawData
  if (raw.length > 0 || isExternal) {
    if (raw.length !== count * size) {
      throw invalid(
        proto,
        `declares [${dims}] ${dtype} (${count * size} bytes) but carries ${raw.length} bytes`,
      )
    }
    const bytes = raw.byteOffset % size === 0 ? raw : new Uint8Array(raw)
    return { dtype, dims, data: new make(bytes.buffer, bytes.byteOffset, count), origin: proto }
  }
  const values = typedField(proto)
  if (values.length !== count) {
    throw invalid(proto, `declares [${dims}] (${count} elements) but carries ${values.length}`)
  }
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

function externalBytes(proto: TensorProto, external?: ExternalData): Uint8Array<ArrayBuffer> {
  const entries = new Map(proto.externalData.map((e) => [e.key, e.value]))
  const location = entries.get('location') ?? ''
  if (!external) {
    throw new EspalierError(
      'EXTERNAL_DATA_INVALID',
      `tensor '${proto.name}' keeps its data in '${location}'; give the model as a file with that file beside it`,
    )
  }
  const file = external(location)
  const offset = Number(entries.get('offset') ?? 0)
  const length = Number(entries.get('length') ?? file.length - offset)
  if (!(offset >= 0 && length >= 0 && offset + length <= file.length)) {
    throw new EspalierError(
      'EXTERNAL_DATA_INVALID',
      `tensor '${proto.name}' wants bytes ${offset} to ${offset + length} of '${location}', which has ${file.length}`,
    )
  }
  return new Uint8Array(file.buffer as ArrayBuffer, file.byteOffset + offset, length)
}

const invalid = (p: TensorProto, what: string) =>
  new EspalierError('MODEL_INVALID', `tensor '${p.name || '(unnamed)'}' ${what}; export the model again`)
