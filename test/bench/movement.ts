import { writeFile } from 'node:fs/promises'
import { type Dataset, loadDataset, pick } from '@espalier/server/compiler/data/index.js'
import { evenTicks, linePlot, percent } from '@espalier/server/compiler/drawing/index.js'
import type { Graph } from '@espalier/server/compiler/graph/index.js'
import { evaluate } from '@espalier/server/compiler/runtime/index.js'
import { freshWeights, type TrainOptions } from '@espalier/server/compiler/train/index.js'
import { dense, layerNorm } from '../zoo/layers.js'
import { Net } from '../zoo/net.js'
import { encoder } from '../zoo/vit.js'
import { overSeeds } from './parts/means.js'
import { Resumable, TimeIsUp } from './parts/resumable.js'
import { digitsNetwork } from './parts/subjects.js'

export const about =
  'movement against magnitude at --left (0.15,0.1,0.03) of the weights, a small transformer moved from the digits 0–4 to 5–9: --seeds 3 --epochs 6 --pretrain 4 --images 60000 --lr 0.001 --minutes 7; goes on where it stopped'

const methods = ['magnitude', 'movement'] as const

/** A pre-normalised transformer of two blocks that reads an image's 28 rows as words. */
function rowReader(): Graph {
  const n = new Net('Row reader')
  const [positions, width] = [28, 64]
  let x = n.op('Add', [
    dense(n, n.input('x', ['n', positions, 28]), 28, width),
    n.weight([1, positions, width]),
  ])
  for (let i = 0; i < 2; i++) x = encoder(n, x, { width, heads: 4, hidden: 4 * width, positions })
  const mean = n.op('ReduceMean', [layerNorm(n, x, width)], { axes: [1], keepdims: 0 })
  return n.build(n.dense(mean, width, 5))
}

/** The samples of five digits, `first` and those after it, as classes 0–4. */
function fiveDigits(data: Dataset, first: number): Dataset {
  const labels = data.labels ?? new Int32Array()
  const chosen = pick(
    data,
    Uint32Array.from(labels.keys()).filter((i) => labels[i] >= first && labels[i] < first + 5),
  )
  return { ...chosen, labels: chosen.labels?.map((label) => label - first) }
}

/**
 * Sanh et al. 2020: a network is trained on one task, and becomes sparse while it learns another. Its weights' sizes are of
 * the first task, their movement is of the second, so that at few weights movement should do better. Both by the cubic schedule, over
 * the same steps and from the same weights. Top-1 on the second task's test images, which decide nothing.
 */
export default async function movement(options: Readonly<Record<string, string>>): Promise<object> {
  const seeds = Array.from({ length: Number(options.seeds ?? 3) }, (_, i) => i + 1)
  const left = (options.left ?? '0.15,0.1,0.03').split(',').map(Number)
  const [epochs, pretrain, images] = [
    options.epochs ?? 6,
    options.pretrain ?? 4,
    options.images ?? 60_000,
  ].map(Number)
  const scope = options.scope === 'global' ? 'global' : 'layer'
  const rate = Number(options.rate ?? 0.01)
  // The paper moves its network's weights by steps far smaller than its scores'.
  const lr = Number(options.lr ?? 1e-3)
  const work = await Resumable.open('movement', Number(options.minutes ?? 7))
  const load = { mean: [0.1307], std: [0.3081] }
  const all = await loadDataset(rowReader(), `${digitsNetwork.data}#first=${images}`, load)
  const tests = await loadDataset(rowReader(), digitsNetwork.eval ?? '', load)
  const [known, next] = [0, 5].map((first) => ({
    data: fiveDigits(all, first),
    judge: fiveDigits(tests, first),
  }))
  const top1 = async (graph: Graph, judge: Dataset) => (await evaluate(graph, judge)).top1 ?? 0
  const rows: Row[] = []
  let complete = true
  try {
    for (const seed of seeds) {
      const training: TrainOptions = {
        seed,
        batch: 64,
        optimizer: 'adamw',
        lr: 1e-3,
        schedule: 'cosine',
        warmup: 0.1,
      }
      const label = `${seed} ${images} ${pretrain}`
      const before = await work.graph(label, () =>
        work.trained(freshWeights(rowReader(), seed), known.data, { ...training, epochs: pretrain }),
      )
      const moved = async (name: string, sparsity?: TrainOptions['sparsity']) =>
        work.figure(`${label} ${epochs} ${lr} ${name}`, async () =>
          top1(await work.trained(before, next.data, { ...training, epochs, lr, sparsity }), next.judge),
        )
      rows.push({ seed, method: 'none', left: 1, top1: await moved('dense') })
      for (const share of left)
        for (const method of methods)
          rows.push({
            ...{ seed, method, left: share },
            top1: await moved(`${method} ${share} ${scope} ${rate}`, {
              ...{ method, sparsity: 1 - share, scope },
              ...(method === 'movement' && { rate }),
            }),
          })
    }
  } catch (thrown) {
    if (!(thrown instanceof TimeIsUp)) throw thrown
    complete = false
  }
  const record = {
    command: `npm run bench -- movement --left ${left} --seeds ${seeds.length} --epochs ${epochs} --pretrain ${pretrain} --images ${images} --scope ${scope} --rate ${rate} --lr ${lr}`,
    tasks: `MNIST, the digits 0–4 (${known.data.count} images), then 5–9 (${next.data.count})`,
    ...{ complete, rows, means: overSeeds(rows) },
  }
  if (rows.length > 0) {
    await writeFile('test/bench/results/movement.json', `${JSON.stringify(record, null, 2)}\n`)
    await writeFile('test/bench/results/movement.svg', movementPlot(record.means))
  }
  return record
}

interface Row {
  readonly seed: number
  readonly method: string
  readonly left: number
  readonly top1: number
}

const colours = { magnitude: '#c2410c', movement: '#0a7d5a' } as const

/** Top-1 over the share of weights left, on a logarithmic axis that falls to the right. */
function movementPlot(means: readonly { method: string; left: number; mean: number }[]): string {
  const shares = [...new Set(means.map((m) => m.left))].sort((a, b) => b - a)
  const low = Math.floor(10 * Math.min(...means.map((m) => m.mean)))
  return linePlot({
    title: 'Movement and magnitude: top-1 over the share of weights left',
    x: { label: 'weights left', ticks: shares.map((s) => ({ at: Math.log(s), words: percent(s) })) },
    y: { ticks: evenTicks(low / 10, 1, 11 - low, percent) },
    series: methods.map((name) => {
      const own = means
        .filter((m) => m.method === name || m.method === 'none')
        .sort((a, b) => b.left - a.left)
      return {
        ...{ name, colour: colours[name], points: own.map((m) => [Math.log(m.left), m.mean] as const) },
        dots: own.map((m) => ({ title: `${name}, ${percent(m.left)} left: ${percent(m.mean, 2)}` })),
      }
    }),
  })
}
