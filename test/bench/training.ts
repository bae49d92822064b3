import { random, sampleSize } from '@espalier/server/compiler/data/index.js'
import { readModelFile } from '@espalier/server/compiler/onnx/index.js'
import { trainHere } from '@espalier/server/compiler/train/loop.js'
import { lenet5 } from '../zoo/lenet5.js'

export const about = 'training images/s on one thread: sample, LeNet-5, ResNet-20; --steps (40) --batch (64)'

/**
 * Adam steps on random samples, after three that warm up: nothing but the shapes matters to speed.
 * `resnet20` is null where the folder of shared models is absent.
 */
export default async function training(options: Readonly<Record<string, string>>) {
  const steps = Number(options.steps ?? 40)
  const batch = Number(options.batch ?? 64)
  const networks = {
    sample: () => readModelFile('deploy/sample/digits.onnx'),
    lenet5: async () => lenet5(),
    resnet20: () => readModelFile('../shared/models/resnet20-cifar10.onnx'),
  }
  const shapes = { sample: [1, 28, 28], lenet5: [1, 28, 28], resnet20: [3, 32, 32] }
  const speeds: Record<string, number | null> = {}
  for (const name of ['sample', 'lenet5', 'resnet20'] as const) {
    const graph = await networks[name]().catch((e) => {
      if (name === 'resnet20' && e.code === 'FILE_NOT_FOUND') return null
      throw e
    })
    speeds[name] = graph && (await speed(graph, shapes[name], steps, batch))
  }
  return { steps, batch, imagesPerSecond: speeds }
}

async function speed(
  graph: Parameters<typeof trainHere>[0],
  dims: readonly number[],
  steps: number,
  batch: number,
) {
  const next = random(1)
  const count = batch * 2
  const values = Float32Array.from({ length: count * sampleSize({ dims }) }, next)
  const labels = Int32Array.from({ length: count }, (_, i) => i % 10)
  let warm = 0
  await trainHere(
    graph,
    { count, dims, values, labels },
    { batch, epochs: steps, maxSteps: steps + 3, lr: 1e-5 },
    {
      on: () => {},
      between: (state) => {
        if (state().step === 3) warm = performance.now()
      },
    },
  )
  return Math.round((steps * batch * 1000) / (performance.now() - warm))
}
