import { EspalierError } from '@espalier/shared'
import { elementSize } from './elements.js'
import { bytesAt, type Place, sizeOf } from './files.js'
import { inflated, inflatedStart } from './inflate.js'
import type { StoredArray } from './stored.js'

/** The format's codes for element types, in numpy's names. */
const types = new Map([
  [8, 'u1'],
  [9, 'i1'],
  [11, 'i2'],
  [12, 'i4'],
  [13, 'f4'],
  [14, 'f8'],
])
/** Type and rank, and as many sizes as a rank of one byte allows. */
const HEADER_BYTES = 4 + 4 * 255

/**
 * An array in MNIST's format (http://yann.lecun.com/exdb/mnist), gzipped or not: its header alone is read.
 * @throws FILE_NOT_FOUND, DATA_INVALID
 */
export async function openIdx(path: string): Promise<StoredArray> {
  const invalid = (why: string) =>
    new EspalierError('DATA_INVALID', `'${path}' is not an idx file (MNIST's format): ${why}`)
  const name = `'${path}'`
  const size = sizeOf(path)
  const start = bytesAt({ path, offset: 0 }, 0, Math.min(size, HEADER_BYTES))
  const source = { path, from: 0, format: 'gzip' } as const
  const zipped = start[0] === 0x1f && start[1] === 0x8b
  const head = zipped ? await inflatedStart(name, source, HEADER_BYTES) : start
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength)
  if (head.length < 4 || view.getUint16(0) !== 0) throw invalid('it does not begin with two zero bytes')
  const type = types.get(view.getUint8(2))
  const rank = view.getUint8(3)
  if (!type || rank === 0)
    throw invalid(`its element type ${view.getUint8(2)} or its rank ${rank} is unknown`)
  const header = 4 + 4 * rank
  if (head.length < header) throw invalid('it is cut short')
  const dims = Array.from({ length: rank }, (_, i) => view.getUint32(4 + 4 * i))
  const wanted = dims.reduce((n, d) => n * d, elementSize(type))
  if (!zipped && size !== header + wanted)
    throw invalid(`it declares [${dims}], ${wanted} bytes, and carries ${size - header}`)
  const open = async (memory: number): Promise<Place> => {
    if (!zipped) return { path, offset: header }
    const whole = await inflated(name, source, header + wanted, memory)
    return whole instanceof Uint8Array ? whole.subarray(header) : { ...whole, offset: header }
  }
  return { path, name, dims, type, little: false, open }
}
