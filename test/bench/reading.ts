import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type Dataset, loadDataset, random } from '@espalier/server/compiler/data/index.js'
import type { TrainOptions } from '@espalier/server/compiler/train/index.js'
import { trainHere } from '@espalier/server/compiler/train/loop.js'
import sharp from 'sharp'
import { convNetwork } from '../support/networks.js'

export const about =
  'images/s of training with batches read ahead in a thread over those without, in turn: JPEG files decoded for each batch, with augmentation, and samples held in memory; --rounds 5 --steps 30'

const folder = '.build/bench/reading'
const COUNT = 512

/** Photographs that take long to decode: noise over gradients, `side` pixels wide. */
async function writePhotos(side: number): Promise<string> {
  const next = random(1)
  for (let c = 0; c < 4; c++) await mkdir(join(folder, String(c)), { recursive: true })
  for (let i = 0; i < COUNT; i++) {
    const pixels = Uint8Array.from(
      { length: side * side * 3 },
      (_, p) => ((p * (1 + (i % 4))) % 200) + next() * 50,
    )
    const file = join(folder, `${i % 4}/${i}.jpg`)
    await sharp(pixels, { raw: { width: side, height: side, channels: 3 } })
      .jpeg({ quality: 90 })
      .toFile(file)
  }
  return `images:${folder}`
}

const median = (list: readonly number[]) => [...list].sort((a, b) => a - b)[list.length >> 1]

export default async function reading(options: Readonly<Record<string, string>>): Promise<object> {
  const [rounds, maxSteps] = [Number(options.rounds ?? 5), Number(options.steps ?? 30)]
  await rm(folder, { recursive: true, force: true })
  const spec = await writePhotos(256)
  const small = convNetwork([16, 32], 4)
  const graph = small.with({ inputs: [{ ...small.inputs[0], dims: ['n', 1, 48, 48] }] })
  const augmented: TrainOptions = { shift: 4, flip: true, colour: 0.2, mixup: 0.2 }
  const cases: Record<string, [Dataset, TrainOptions]> = {
    'decoded a batch at a time, augmented': [await loadDataset(graph, spec, { memory: 0 }), augmented],
    'held, augmented': [await loadDataset(graph, spec), augmented],
    'held, as they are': [await loadDataset(graph, spec), {}],
  }
  const results: Record<string, object> = {}
  for (const [name, [data, more]] of Object.entries(cases)) {
    const speeds: Record<'with' | 'without', number[]> = { with: [], without: [] }
    const weights = new Set<string>()
    for (let r = 0; r < rounds; r++)
      for (const [which, readAhead] of [
        ['with', true],
        ['without', false],
      ] as const) {
        const how = { ...more, readAhead, batch: 32, epochs: 100, maxSteps, seed: 1 }
        const { history, constants } = await trainHere(graph, data, how, { on: () => {} })
        speeds[which].push(history.imagesPerSecond)
        weights.add(String(constants.get('w3')?.data))
      }
    const ratios = speeds.with.map((v, i) => v / speeds.without[i])
    results[name] = {
      ...{ ratio: median(ratios), spread: [Math.min(...ratios), Math.max(...ratios)] },
      ...{ imagesPerSecondWith: median(speeds.with), imagesPerSecondWithout: median(speeds.without) },
      sameWeights: weights.size === 1,
    }
  }
  await rm(folder, { recursive: true, force: true })
  return { steps: maxSteps, rounds, ...results }
}
