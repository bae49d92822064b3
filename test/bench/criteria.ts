import { writeFile } from 'node:fs/promises'
import type { Coupling } from '@espalier/server/compiler/analysis/index.js'
import { allocate, costWithout } from '@espalier/server/compiler/budget/index.js'
import { type Dataset, loadDataset } from '@espalier/server/compiler/data/index.js'
import { readModelFile } from '@espalier/server/compiler/onnx/index.js'
import { evaluate } from '@espalier/server/compiler/runtime/index.js'
import { criteria, fisher, obd, reconstruction, taylor } from '@espalier/server/compiler/saliency/index.js'
import { prunable, pruned } from '@espalier/server/compiler/surgery/index.js'
import { refreshStatistics } from '@espalier/server/compiler/train/index.js'
import { criteriaPlot } from './parts/criteria-plot.js'
import { Resumable, TimeIsUp } from './parts/resumable.js'
import { afterPruning, cifarNetworks } from './parts/subjects.js'

export const about =
  'ResNet-20 without --removed (0.3,0.5,0.7) of its MACs by each criterion: top-1 before and after --epochs 2 on --images 2000: --tested 2000 --minutes 7; goes on where it stopped'

type Rank = (coupling: Coupling, data: Dataset) => Promise<Float64Array[]> | Float64Array[]
const ranks: Readonly<Record<string, Rank>> = {
  taylor: (coupling, data) => taylor(coupling, data, { across: true }),
  obd,
  fisher: (coupling, data) => fisher(coupling, data),
  l1: (coupling) => criteria.l1(coupling),
  l2: (coupling) => criteria.l2(coupling),
  'bn-gamma': (coupling) => criteria['bn-gamma'](coupling),
  reconstruction,
  random: (coupling) => criteria.random(coupling, { seed: 1 }),
}

/** Top-1 after pruning alone, after statistics were set anew, and after the passes. */
export interface CriterionRow {
  readonly criterion: string
  /** Share of the MACs. */
  readonly removed: number
  readonly macs?: number
  readonly before: number
  readonly statistics: number
  readonly after: number
}

/** All residual branches stay. `statistics`: with those of normalisations set anew, which is what training begins with. */
export default async function criteriaBench(options: Readonly<Record<string, string>>): Promise<object> {
  const network = cifarNetworks.resnet20
  const [images, tested, epochs] = [
    Number(options.images ?? 2000),
    Number(options.tested ?? 2000),
    Number(options.epochs ?? 2),
  ]
  const shares = (options.removed ?? '0.5,0.7,0.3').split(',').map(Number)
  const work = await Resumable.open(`criteria-${images}-${tested}-${epochs}`, Number(options.minutes ?? 7))
  const dense = await readModelFile(network.model)
  const data = await loadDataset(dense, `${network.data}#first=${images}`, network.load)
  const test = await loadDataset(dense, `${network.eval}#first=${tested}`, network.load)
  const subject = await prunable(dense)
  const whole = costWithout(subject.coupling, [])
  const top1 = async (graph: Parameters<typeof evaluate>[0]) => (await evaluate(graph, test)).top1 ?? 0
  const rows: CriterionRow[] = []
  let complete = true
  try {
    const denseTop1 = await work.figure('dense', () => top1(dense))
    rows.push({ criterion: 'dense', removed: 0, before: denseTop1, statistics: denseTop1, after: denseTop1 })
    for (const removed of shares)
      for (const [criterion, rank] of Object.entries(ranks))
        rows.push(
          await work.figure(`${criterion} ${removed}`, async () => {
            const scores = await rank(subject.coupling, data)
            const found = allocate(
              subject.coupling,
              scores,
              { macs: (1 - removed) * whole.macs },
              { depth: 1 },
            )
            const small = pruned(subject, found.removed)
            const fresh = await refreshStatistics(small, data)
            const tuned = await work.trained(fresh, data, { ...afterPruning(dense, epochs), flip: true })
            return {
              ...{ criterion, removed, macs: found.footprint.macs / whole.macs },
              ...{ before: await top1(small), statistics: await top1(fresh), after: await top1(tuned) },
            }
          }),
        )
  } catch (thrown) {
    if (!(thrown instanceof TimeIsUp)) throw thrown
    complete = false
  }
  const record = {
    command: `npm run bench -- criteria --images ${images} --tested ${tested} --epochs ${epochs} --removed ${shares}`,
    network: 'resnet20-cifar10',
    caps: `${epochs} epochs on ${images} images, judged on ${tested}`,
    ...{ complete, rows },
  }
  if (rows.length > 0) {
    const write = (name: string, text: string) => writeFile(`test/bench/results/${name}`, text)
    await write('criteria.json', `${JSON.stringify(record, null, 2)}\n`)
    await write('criteria.svg', criteriaPlot(rows, 'after', `Top-1 after ${epochs} epochs`))
    await write('criteria-untrained.svg', criteriaPlot(rows, 'statistics', 'Top-1 with statistics set anew'))
  }
  return record
}
