import { writeFile } from 'node:fs/promises'
import { loadDataset } from '@espalier/server/compiler/data/index.js'
import { readModelFile } from '@espalier/server/compiler/onnx/index.js'
import { sparseLayers } from '@espalier/server/compiler/recipes/index.js'
import { evaluate } from '@espalier/server/compiler/runtime/index.js'
import type { Scope, TrainOptions } from '@espalier/server/compiler/train/index.js'
import { Resumable, TimeIsUp } from './parts/resumable.js'
import { afterPruning, cifarNetworks } from './parts/subjects.js'

export const about =
  'ResNet-8 or ResNet-20 with a tenth of its weights (--left 0.1), beside the dense network trained the same: --network resnet20 --epochs 8 --sparse-epochs 8 --lr 1e-3 --scope layer,global --minutes 7; goes on where it stopped'

/**
 * The dense network is trained from its labels: the reference. From there, with the reference as teacher,
 * weights become zero by magnitude, more and more (Zhu and Gupta 2017), the same share of every layer or the least of all, over the
 * first half of another such training, of --sparse-epochs. Top-1 on all test images.
 */
export default async function tenth(options: Readonly<Record<string, string>>): Promise<object> {
  const name = options.network ?? 'resnet20'
  if (!(name in cifarNetworks))
    throw new Error(`no network is named ${name}; there are: ${Object.keys(cifarNetworks)}`)
  const {
    model,
    data: spec,
    eval: tests = '',
    load,
    flip,
  } = cifarNetworks[name as keyof typeof cifarNetworks]
  const epochs = Number(options.epochs ?? 8)
  const longer = Number(options['sparse-epochs'] ?? epochs)
  const lr = Number(options.lr ?? 1e-3)
  const scopes = (options.scope ?? 'layer,global').split(',') as Scope[]
  const left = (options.left ?? '0.1').split(',').map(Number)
  const work = await Resumable.open('tenth', Number(options.minutes ?? 7))
  const rows = []
  let complete = true
  try {
    const dense = await readModelFile(model)
    const data = await loadDataset(dense, spec, load)
    const test = await loadDataset(dense, tests, load)
    const top1 = async (graph: typeof dense) => (await evaluate(graph, test)).top1 ?? 0
    const training: TrainOptions = {
      ...{ ...afterPruning(dense, epochs), teacher: undefined },
      ...{ flip, unfold: true, lr },
    }
    const label = `${name} ${epochs} ${lr}`
    const trained = () => work.graph(label, () => work.trained(dense, data, training))
    const reference = {
      dense: await work.figure(name, () => top1(dense)),
      reference: await work.figure(label, async () => top1(await trained())),
    }
    for (const share of left)
      for (const scope of scopes) {
        const found = await work.figure(`${label} ${share} ${scope} ${longer}`, async () => {
          const teacher = await trained()
          const sparse = await work.trained(teacher, data, {
            ...{ ...training, epochs: longer },
            teacher: { graph: teacher },
            sparsity: { method: 'magnitude', sparsity: 1 - share, scope, begin: 0, end: 0.5 },
          })
          const layers = sparseLayers(sparse)
          const sum = (of: 'zeros' | 'weights') => layers.reduce((n, l) => n + l[of], 0)
          const weights = sum('weights')
          return { weights, nonZeros: weights - sum('zeros'), top1: await top1(sparse) }
        })
        rows.push({ left: share, scope, ...reference, ...found })
      }
  } catch (thrown) {
    if (!(thrown instanceof TimeIsUp)) throw thrown
    complete = false
  }
  const record = {
    command: `npm run bench -- tenth --network ${name} --epochs ${epochs} --sparse-epochs ${longer} --lr ${lr} --left ${left} --scope ${scopes}`,
    ...{ complete, rows },
  }
  if (rows.length > 0)
    await writeFile(`test/bench/results/tenth-${name}.json`, `${JSON.stringify(record, null, 2)}\n`)
  return record
}
