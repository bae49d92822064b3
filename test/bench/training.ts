import { random, sampleSize } from '@espalier/server/compiler/data/index.js'
import type { Graph } from '@espalier/server/compiler/graph/index.js'
import { readModelFile } from '@espalier/server/compiler/onnx/index.js'
import { trainHere } from '@espalier/server/compiler/train/loop.js'
import { lenet5 } from '../zoo/lenet5.js'

export const about = 'training images/s on one thread: sample, LeNet-5, ResNet-20; --steps (40) --batch (64)'

interface Speed {
  readonly imagesPerSecond: number
  /** By processor time, which neighbours on a busy machine hardly change. */
  readonly imagesPerCpuSecond: number
}

/**
 * Adam steps on random samples, after three that warm up: nothing but the shapes matters to speed.
 * `resnet20` is null where the folder of shared models is absent.
 */
export default async function training(options: Readonly<Record<string, string>>) {
  const steps = Number(options.steps ?? 40)
  const batch = Number(options.batch ?? 64)
  const resnet20 = await readModelFile('../shared/models/resnet20-cifar10.onnx').catch((e) => {
    if (e.code === 'FILE_NOT_FOUND') return null
    throw e
  })
  return {
    steps,
    batch,
    sample: await speed(await readModelFile('deploy/sample/digits.onnx'), [1, 28, 28], steps, batch),
    lenet5: await speed(lenet5(), [1, 28, 28], steps, batch),
    resnet20: resnet20 && (await speed(resnet20, [3, 32, 32], steps, batch)),
  }
}

async function speed(graph: Graph, dims: readonly number[], steps: number, batch: number): Promise<Speed> {
  const next = random(1)
  const count = batch * 2
  const values = Float32Array.from({ length: count * sampleSize({ dims }) }, next)
  const labels = Int32Array.from({ length: count }, (_, i) => i % 10)
  let step = 0
  let warm = { wall: 0, cpu: 0 }
  const now = () => {
    const { user, system } = process.cpuUsage()
    return { wall: performance.now() / 1000, cpu: (user + system) / 1e6 }
  }
  await trainHere(
    graph,
    { count, dims, values, labels },
    { batch, epochs: steps + 3, maxSteps: steps + 3, lr: 1e-5 },
    {
      on: () => {},
      between: () => {
        if (step++ === 3) warm = now()
      },
    },
  )
  const end = now()
  return {
    imagesPerSecond: Math.round((steps * batch) / (end.wall - warm.wall)),
    imagesPerCpuSecond: Math.round((steps * batch) / (end.cpu - warm.cpu)),
  }
}
