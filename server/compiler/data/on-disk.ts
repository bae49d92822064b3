import { checked, type Elements, elementSize, type Held } from './elements.js'
import { reading } from './files.js'
import { decodeImages, type ImageForm } from './images.js'

/** Samples that stay on disk and are read when they are asked for: plain values, so that another process can as well. */
export type OnDisk = ArrayOnDisk | ImagesOnDisk

interface ArrayOnDisk extends Elements {
  readonly kind: 'array'
  readonly path: string
  /** Changes when the file that the user named does; `path` may be a scratch file. */
  readonly stamp: string
  readonly offset: number
  /** Elements of a sample. */
  readonly size: number
  /** Which sample of the array each one is. */
  readonly rows: Uint32Array
}

interface ImagesOnDisk {
  readonly kind: 'images'
  readonly files: readonly string[]
  readonly form: ImageForm
}

export const isOnDisk = (values: Held | OnDisk): values is OnDisk => 'kind' in values

/** The samples at `indices`, in that order. */
export const among = (values: OnDisk, indices: ArrayLike<number>): OnDisk =>
  values.kind === 'array'
    ? { ...values, rows: Uint32Array.from(indices, (i) => values.rows[i]) }
    : { ...values, files: Array.from(indices, (i) => values.files[i]) }

/**
 * Reads the samples at `indices`, one after the other, as they are stored; a run of neighbours in one go.
 * @throws FILE_NOT_FOUND, DATA_INVALID
 */
export async function readFrom(values: OnDisk, indices: ArrayLike<number>): Promise<Held> {
  if (values.kind === 'images')
    return decodeImages(
      Array.from(indices, (i) => values.files[i]),
      values.form,
    )
  const { path, offset, size, rows } = values
  const stride = size * elementSize(values.type)
  const bytes = new Uint8Array(indices.length * stride)
  reading(path, (read) => {
    for (let i = 0; i < indices.length; ) {
      let next = i + 1
      while (next < indices.length && rows[indices[next]] === rows[indices[next - 1]] + 1) next++
      read(bytes.subarray(i * stride, next * stride), offset + rows[indices[i]] * stride)
      i = next
    }
  })
  return checked(bytes, values, size, (place) => rows[indices[place]])
}
