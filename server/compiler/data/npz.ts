import { EspalierError } from '@espalier/shared'
import { canRead, elementSize } from './elements.js'
import { bytesAt, type Place } from './files.js'
import { inflated, inflatedStart } from './inflate.js'
import type { StoredArray } from './stored.js'
import { contentsOf, type Entry, entriesOf } from './zip.js'

/** Header bytes that are looked at; numpy writes 128 unless an array has very many fields. */
const HEADER_BYTES = 4096

type Invalid = (why: string) => EspalierError

const invalidIn =
  (path: string): Invalid =>
  (why) =>
    new EspalierError('DATA_INVALID', `'${path}' is not an npz file of arrays: ${why}`)

/**
 * The arrays of a file that numpy.savez or numpy.savez_compressed wrote, by name: their headers alone are read.
 * @throws FILE_NOT_FOUND, DATA_INVALID
 */
export async function openNpz(path: string): Promise<ReadonlyMap<string, StoredArray>> {
  const invalid = invalidIn(path)
  const arrays = new Map<string, StoredArray>()
  for (const [file, entry] of entriesOf(path, invalid)) {
    if (!file.endsWith('.npy')) continue
    const name = file.slice(0, -4)
    arrays.set(name, await openArray(path, name, entry, (why) => invalid(`${name} ${why}`)))
  }
  return arrays
}

async function openArray(path: string, called: string, entry: Entry, invalid: Invalid): Promise<StoredArray> {
  const name = `'${called}' of '${path}'`
  const { method, stored, size } = entry
  if (method !== 0 && method !== 8) throw invalid(`is compressed by method ${method}; only deflate is known`)
  const from = contentsOf(path, entry, invalid)
  const source = { path, from, to: from + stored, format: 'deflate' } as const
  const length = Math.min(HEADER_BYTES, size)
  const head =
    method === 0 ? bytesAt({ path, offset: from }, 0, length) : await inflatedStart(name, source, length)
  const { dims, type, little, header } = parseHeader(head, invalid)
  const wanted = dims.reduce((n, d) => n * d, elementSize(type))
  if (size - header !== wanted || (method === 0 && stored !== size))
    throw invalid(`declares [${dims}], ${wanted} bytes, and carries ${size - header}`)
  const open = async (memory: number): Promise<Place> => {
    if (method === 0) return { path, offset: from + header }
    const whole = await inflated(name, source, size, memory)
    return whole instanceof Uint8Array ? whole.subarray(header) : { ...whole, offset: header }
  }
  return { path, name, dims, type, little, open }
}

/** https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html */
function parseHeader(bytes: Uint8Array, invalid: Invalid) {
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
    throw invalid('is stored in Fortran order; save numpy.ascontiguousarray of it')
  const dims = shape[1]
    .split(',')
    .map((d) => d.trim())
    .filter(Boolean)
    .map(Number)
  return { dims, type, little: order !== '>', header: from + length }
}
