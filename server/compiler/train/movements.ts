import { EspalierError } from '@espalier/shared'
import { isLabelled } from '../data/index.js'
import type { Graph } from '../graph/index.js'
import { trainHere } from './loop.js'
import type { Samples } from './options.js'

/**
 * −Σ w · ∂L/∂w for every weight over the first steps of a training by SGD, whose result is thrown away: above zero where
 * training moves a weight away from zero (Sanh et al. 2020, section 3). Blocks the event loop a step at a time.
 * @throws DATA_UNLABELLED, and what `trainHere` throws
 */
export async function movements(
  graph: Graph,
  data: Samples,
  { steps, seed = 0 }: { steps: number; seed?: number },
): Promise<ReadonlyMap<string, Float32Array>> {
  if (!isLabelled(data))
    throw new EspalierError('DATA_UNLABELLED', 'criterion movement trains, and so needs labelled data')
  const sums = new Map<string, Float32Array>()
  const perEpoch = Math.max(1, Math.floor(data.count / Math.min(32, data.count)))
  await trainHere(
    graph,
    data,
    { optimizer: 'sgd', lr: 1e-3, batch: 32, maxSteps: steps, epochs: Math.ceil(steps / perEpoch), seed },
    {
      on: () => {},
      gradients(name, weight, gradient) {
        const sum = sums.get(name) ?? new Float32Array(weight.length)
        for (let i = 0; i < sum.length; i++) sum[i] -= weight[i] * gradient[i]
        sums.set(name, sum)
      },
    },
  )
  return sums
}
