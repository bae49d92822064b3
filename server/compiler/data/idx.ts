import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import { EspalierError } from '@espalier/shared'
import { decode, elementSize, labelsFrom, MAX_BYTES, readWhole, type Stored, tooLarge } from './stored.js'

const inflate = promisify(gunzip)

/** The format's codes for element types, in numpy's names. */
const types = new Map([
  [8, 'u1'],
  [9, 'i1'],
  [11, 'i2'],
  [12, 'i4'],
  [13, 'f4'],
  [14, 'f8'],
])

/** Images and labels in MNIST's format (http://yann.lecun.com/exdb/mnist), gzipped or not. */
export async function readIdx(images: string, labels: string): Promise<Stored> {
  const [x, y] = [await readArray(images), await readArray(labels)]
  if (y.dims.length !== 1 || y.dims[0] !== x.dims[0])
    throw new EspalierError(
      'DATA_INVALID',
      `'${labels}' holds [${y.dims}] labels for the [${x.dims}] images of '${images}'; one label an image is needed`,
    )
  return { count: x.dims[0], dims: x.dims.slice(1), values: x.values, labels: labelsFrom(y.values, labels) }
}

async function readArray(path: string) {
  const invalid = (why: string) =>
    new EspalierError('DATA_INVALID', `'${path}' is not an idx file (MNIST's format): ${why}`)
  const bytes = await contents(path, invalid)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (bytes.length < 4 || view.getUint16(0) !== 0) throw invalid('it does not begin with two zero bytes')
  const type = types.get(view.getUint8(2))
  const rank = view.getUint8(3)
  if (!type || rank === 0)
    throw invalid(`its element type ${view.getUint8(2)} or its rank ${rank} is unknown`)
  const header = 4 + 4 * rank
  if (bytes.length < header) throw invalid('it is cut short')
  const dims = Array.from({ length: rank }, (_, i) => view.getUint32(4 + 4 * i))
  const wanted = dims.reduce((n, d) => n * d, elementSize(type))
  if (bytes.length !== header + wanted)
    throw invalid(`it declares [${dims}], ${wanted} bytes, and carries ${bytes.length - header}`)
  return { dims, values: decode(bytes.subarray(header), type, false) }
}

async function contents(path: string, invalid: (why: string) => EspalierError): Promise<Uint8Array> {
  const bytes = await readWhole(path)
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes
  try {
    return await inflate(bytes, { maxOutputLength: MAX_BYTES })
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    throw code === 'ERR_BUFFER_TOO_LARGE' ? tooLarge(`'${path}'`) : invalid(`gzip: ${code}`)
  }
}
