import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { mkdir, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { finished } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { random } from '@espalier/server/compiler/data/index.js'
import sharp from 'sharp'

export const about =
  'peak memory of training on data larger than --memory 64 (MiB): --times 8 as large in an idx file, and as images; the same data held in memory beside it'

const execute = promisify(execFile)
const folder = '.build/bench/streaming'
const SIDE = 128

interface Child {
  readonly peakBytes: number
  readonly baseBytes: number
  readonly imagesPerSecond: number
  readonly weights: string
}

/** Trains a small network for some steps in a fresh process. @param memory bytes of samples that may be held */
async function trained(spec: string, memory: number): Promise<Child> {
  const child = fileURLToPath(new URL('./streaming/child.js', import.meta.url))
  const { stdout } = await execute(process.execPath, [child, spec, String(memory)])
  return JSON.parse(stdout)
}

/** Bytes of noise under an idx header: written a sample at a time. */
async function writeIdx(count: number): Promise<string> {
  const [x, y] = ['x.idx', 'y.idx'].map((name) => join(folder, name))
  const header = (dims: readonly number[]) => {
    const bytes = Buffer.alloc(4 + 4 * dims.length)
    bytes[2] = 8
    bytes[3] = dims.length
    for (const [i, d] of dims.entries()) bytes.writeUInt32BE(d, 4 + 4 * i)
    return bytes
  }
  const next = random(1)
  const noise = Buffer.from(Uint8Array.from({ length: SIDE * SIDE * 64 }, () => next() * 256))
  const file = createWriteStream(x)
  file.write(header([count, SIDE, SIDE]))
  for (let i = 0; i < count; i++) {
    const from = Math.floor(next() * (noise.length - SIDE * SIDE))
    if (!file.write(noise.subarray(from, from + SIDE * SIDE))) await once(file, 'drain')
  }
  await finished(file.end())
  await writeFile(
    y,
    Buffer.concat([header([count]), Buffer.from(Uint8Array.from({ length: count }, (_, i) => i % 10))]),
  )
  return `idx:${x},${y}`
}

/** Ten classes of JPEG files; each picture stands in the folders under several names. */
async function writeImages(count: number): Promise<string> {
  const next = random(2)
  for (let c = 0; c < 10; c++) await mkdir(join(folder, `photos/${c}`), { recursive: true })
  for (let i = 0; i < count; i++) {
    const pixels = Uint8Array.from({ length: SIDE * SIDE }, (_, p) => ((p * (i % 10)) % 256) ^ (next() * 32))
    const raw = { width: SIDE, height: SIDE, channels: 1 } as const
    await sharp(pixels, { raw })
      .jpeg()
      .toFile(join(folder, `photos/${i % 10}/${i}.jpg`))
  }
  return `images:${folder}/photos`
}

export default async function streaming(options: Readonly<Record<string, string>>): Promise<object> {
  const memory = Number(options.memory ?? 64) * 2 ** 20
  const count = Math.round((Number(options.times ?? 8) * memory) / SIDE ** 2)
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true })
  const results: Record<string, object> = {}
  const idx = await writeIdx(count)
  const images = await writeImages(1500)
  const bounds = { idx: memory, images: 2 ** 20 }
  for (const [kind, spec] of Object.entries({ idx, images })) {
    const bytes = kind === 'idx' ? (await stat(join(folder, 'x.idx'))).size : 1500 * SIDE ** 2
    const bound = bounds[kind as keyof typeof bounds]
    const [streamed, held] = [await trained(spec, bound), await trained(spec, 2 ** 40)]
    const above = ({ peakBytes, baseBytes }: Child) => peakBytes - baseBytes
    results[kind] = {
      ...{ datasetBytes: bytes, boundBytes: bound, sameWeights: streamed.weights === held.weights },
      ...{ streamedPeakAboveBase: above(streamed), heldPeakAboveBase: above(held) },
      imagesPerSecond: { streamed: streamed.imagesPerSecond, held: held.imagesPerSecond },
    }
  }
  await rm(folder, { recursive: true, force: true })
  return results
}
