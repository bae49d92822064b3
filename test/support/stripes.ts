import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { random } from '@espalier/server/compiler/data/index.js'

const SIZE = 144

/** Stripes across, along or both, 12 × 12, in three classes, as an idx pair in the folder: its data spec. */
export async function stripes(dir: string, name: string, count: number, seed: number): Promise<string> {
  const next = random(seed)
  const x = Buffer.alloc(16 + count * SIZE)
  const y = Buffer.alloc(8 + count)
  x.writeUInt32BE(0x803, 0)
  for (const [i, v] of [count, 12, 12].entries()) x.writeUInt32BE(v, 4 + 4 * i)
  y.writeUInt32BE(0x801, 0)
  y.writeUInt32BE(count, 4)
  for (let i = 0; i < count; i++) {
    const label = i % 3
    y[8 + i] = label
    for (let p = 0; p < SIZE; p++) {
      const stripe = label === 0 ? p % 2 : label === 1 ? Math.floor(p / 12) % 2 : (p + Math.floor(p / 12)) % 2
      x[16 + i * SIZE + p] = 180 * stripe + 70 * next()
    }
  }
  const files = [join(dir, `${name}-x`), join(dir, `${name}-y`)]
  await writeFile(files[0], x)
  await writeFile(files[1], y)
  return `idx:${files.join(',')}`
}
