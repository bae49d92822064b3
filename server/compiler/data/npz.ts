import { EspalierError } from '@espalier/shared'
import { unzipSync } from 'fflate'
import {
  canRead,
  decode,
  elementSize,
  labelsFrom,
  MAX_BYTES,
  readWhole,
  type Stored,
  tooLarge,
} from './stored.js'

/**
 * Arrays `x` [count, …] and, optionally, `y` as numpy.savez writes them: classes [count], or targets, which have several
 * numbers a sample or are not whole.
 */
export async function readNpz(path: string): Promise<Stored> {
  const invalid = (why: string) =>
    new EspalierError('DATA_INVALID', `'${path}' is not an npz file with an array 'x': ${why}`)
  const files = unzip(await readWhole(path), path, invalid)
  if (!files['x.npy']) throw invalid("there is no 'x' in it; save it with numpy.savez(file, x=…, y=…)")
  const x = parseNpy(files['x.npy'], (why) => invalid(`x ${why}`))
  if (x.dims.length < 2) throw invalid(`x is [${x.dims}]; it needs samples along its first dimension`)
  const count = x.dims[0]
  if (!files['y.npy']) return { count, dims: x.dims.slice(1), values: x.values }
  const y = parseNpy(files['y.npy'], (why) => invalid(`y ${why}`))
  if (y.dims[0] !== count)
    throw invalid(`y is [${y.dims}] and x has ${count} samples; labels or targets are needed for each sample`)
  if (isTargets(y))
    return { count, dims: x.dims.slice(1), values: x.values, targets: targetsFrom(y.values, path) }
  return { count, dims: x.dims.slice(1), values: x.values, labels: labelsFrom(y.values, path) }
}

const isTargets = ({ dims, values, type }: ReturnType<typeof parseNpy>) =>
  values.length !== dims[0] || (type.startsWith('f') && !values.every(Number.isInteger))

function targetsFrom(values: Float32Array | Uint8Array, path: string): Float32Array {
  const wrong = values.findIndex((v) => !Number.isFinite(v))
  if (wrong < 0) return Float32Array.from(values)
  throw new EspalierError(
    'DATA_INVALID',
    `target ${wrong} of '${path}' is ${values[wrong]}; targets are numbers`,
  )
}

function unzip(bytes: Uint8Array, path: string, invalid: (why: string) => EspalierError) {
  try {
    return unzipSync(bytes, {
      filter: ({ name, originalSize }) => {
        if (name !== 'x.npy' && name !== 'y.npy') return false
        if (originalSize > MAX_BYTES) throw tooLarge(`'${name}' in '${path}'`)
        return true
      },
    })
  } catch (cause) {
    throw cause instanceof EspalierError
      ? cause
      : invalid(cause instanceof Error ? cause.message : String(cause))
  }
}

/** https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html */
function parseNpy(bytes: Uint8Array, invalid: (why: string) => EspalierError) {
  const text = (from: number, to: number) => Buffer.from(bytes.subarray(from, to)).toString('latin1')
  if (text(0, 6) !== '\x93NUMPY' || bytes.length < 12) throw invalid('does not begin as a .npy file does')
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const [from, length] = bytes[6] === 1 ? [10, view.getUint16(8, true)] : [12, view.getUint32(8, true)]
  const header = text(from, from + length)
  const [, order, type] = /'descr': *'([<>|=])(\w+)'/.exec(header) ?? []
  const shape = /'shape': *\(([\d, ]*)\)/.exec(header)
  if (!shape || !type || !canRead(type))
    throw invalid(
      `has the header ${header.slice(0, 120).trim()}; whole numbers, float32 and float64 can be read`,
    )
  if (!/'fortran_order': *False/.test(header))
    throw invalid('is stored in Fortran order; save numpy.ascontiguousarray(x)')
  const dims = shape[1]
    .split(',')
    .map((d) => d.trim())
    .filter(Boolean)
    .map(Number)
  const wanted = dims.reduce((n, d) => n * d, elementSize(type))
  const data = bytes.subarray(from + length)
  if (data.length !== wanted) throw invalid(`declares [${dims}], ${wanted} bytes, and carries ${data.length}`)
  return { dims, type, values: decode(data, type, order !== '>') }
}
