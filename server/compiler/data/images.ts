import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { EspalierError } from '@espalier/shared'
import sharp from 'sharp'

const extension = /\.(jpe?g|png|webp|gif|avif|tiff?)$/i
const DECODERS = 4

interface Found {
  readonly files: readonly { readonly path: string; readonly label: number }[]
  readonly classNames?: readonly string[]
}

/** The form in which a network wants images. */
export interface ImageForm {
  readonly channels: 1 | 3
  readonly height: number
  readonly width: number
  readonly layout: 'nchw' | 'nhwc'
}

/** Dimensions of one image as a network takes it. */
export const imageDims = ({ channels, height, width, layout }: ImageForm): number[] =>
  layout === 'nchw' ? [channels, height, width] : [height, width, channels]

/**
 * Images after each other, each turned upright, resized to height × width regardless of its proportions, and kept as
 * bytes; 1 channel is grey, 3 are sRGB.
 * @throws DATA_INVALID, naming the file
 */
export async function decodeImages(
  files: readonly string[],
  form: ImageForm,
  on: (done: number, total: number) => void = () => {},
  signal?: AbortSignal,
): Promise<Uint8Array> {
  const { channels, layout } = form
  const size = imageDims(form).reduce((n, d) => n * d, 1)
  const values = new Uint8Array(files.length * size)
  let next = 0
  let done = 0
  const decoder = async () => {
    for (let i = next++; i < files.length; i = next++) {
      signal?.throwIfAborted()
      const pixels = await decodeImage(files[i], form)
      values.set(layout === 'nchw' ? planes(pixels, channels) : pixels, i * size)
      on(++done, files.length)
    }
  }
  await Promise.all(Array.from({ length: DECODERS }, decoder))
  return values
}

/**
 * Images of a folder with one folder a class, in order of their names, or of a flat folder without labels. Classes
 * take turns, so that any first N hold as many of each.
 * @throws FILE_NOT_FOUND, DATA_INVALID
 */
export async function listImages(folder: string): Promise<Found> {
  const entries = await entriesOf(folder)
  const classNames = entries.filter((e) => e.isDirectory()).map((e) => e.name)
  const flat = entries.filter((e) => e.isFile() && extension.test(e.name)).map((e) => e.name)
  if (classNames.length > 0 && flat.length > 0)
    throw new EspalierError(
      'DATA_INVALID',
      `'${folder}' holds images ('${flat[0]}') beside folders ('${classNames[0]}'); give one folder a class, or images alone`,
    )
  if (classNames.length === 0) {
    if (flat.length > 0) return { files: flat.map((name) => ({ path: join(folder, name), label: 0 })) }
    throw new EspalierError('DATA_INVALID', `'${folder}' holds no images (JPEG, PNG, WebP, GIF, AVIF, TIFF)`)
  }
  const byClass = await Promise.all(
    classNames.map(async (name) => {
      const inside = (await entriesOf(join(folder, name))).filter((e) => e.isFile() && extension.test(e.name))
      if (inside.length > 0) return inside.map((e) => join(folder, name, e.name))
      throw new EspalierError(
        'DATA_INVALID',
        `'${join(folder, name)}' holds no images, yet is a class; remove it`,
      )
    }),
  )
  const files = []
  const longest = byClass.reduce((n, c) => Math.max(n, c.length), 0)
  for (let i = 0; i < longest; i++)
    for (const [label, paths] of byClass.entries())
      if (i < paths.length) files.push({ path: paths[i], label })
  return { files, classNames }
}

async function entriesOf(folder: string) {
  try {
    const entries = await readdir(folder, { withFileTypes: true })
    return entries.filter((e) => !e.name.startsWith('.')).sort((a, b) => (a.name < b.name ? -1 : 1))
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    throw new EspalierError('FILE_NOT_FOUND', `cannot read the folder '${folder}': ${code ?? cause}`, {
      cause,
    })
  }
}

/** Interleaved pixels: height × width × channels. */
async function decodeImage(path: string, { channels, height, width }: ImageForm): Promise<Uint8Array> {
  try {
    return await sharp(path, { failOn: 'error' })
      .autoOrient()
      .removeAlpha()
      .toColourspace(channels === 1 ? 'b-w' : 'srgb')
      .resize(width, height, { fit: 'fill' })
      .raw({ depth: 'uchar' })
      .toBuffer()
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new EspalierError('DATA_INVALID', `the image '${path}' cannot be decoded: ${why}`, { cause })
  }
}

function planes(pixels: Uint8Array, channels: number): Uint8Array {
  if (channels === 1) return pixels
  const plane = pixels.length / channels
  const out = new Uint8Array(pixels.length)
  for (let i = 0; i < plane; i++)
    for (let c = 0; c < channels; c++) out[c * plane + i] = pixels[i * channels + c]
  return out
}
