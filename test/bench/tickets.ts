import { writeFile } from 'node:fs/promises'
import { loadDataset } from '@espalier/server/compiler/data/index.js'
import { type Round, ticket, ticketPlot } from '@espalier/server/compiler/recipes/index.js'
import { lenet300 } from '../zoo/lenet300.js'
import { Resumable, TimeIsUp } from './parts/resumable.js'
import { digitsNetwork } from './parts/subjects.js'

export const about =
  'lottery tickets of LeNet-300-100 on MNIST beside random tickets, 21, 7 and 3.6 % of the weights among 15 rounds: --seeds 5 --epochs 1 --images 60000 --minutes 7; goes on where it stopped'

/**
 * Frankle and Carbin 2019, section 2: a fifth of the weights a round (a tenth of the last layer's), Adam at 1.2e-3 in
 * batches of 60, rewound to the beginning. They train for 50,000 steps a round (50 epochs), which is capped here.
 */
export default async function tickets(options: Readonly<Record<string, string>>): Promise<object> {
  const seeds = Array.from({ length: Number(options.seeds ?? 5) }, (_, i) => i + 1)
  const epochs = Number(options.epochs ?? 1)
  const images = Number(options.images ?? 60_000)
  const work = await Resumable.open('tickets', Number(options.minutes ?? 7))
  const load = { mean: [0.1307], std: [0.3081] }
  const data = await loadDataset(lenet300(), `${digitsNetwork.data}#first=${images}`, load)
  const judge = await loadDataset(lenet300(), digitsNetwork.eval ?? '', load)
  const runs: { seed: number; rounds: readonly Round[] }[] = []
  let complete = true
  try {
    for (const seed of seeds) {
      const { rounds } = await ticket(
        lenet300(),
        {
          ...{ data, judge, epochs, seed, fresh: true, sparsity: 1 - 0.8 ** 15, rounds: 15 },
          training: { optimizer: 'adam', lr: 1.2e-3, batch: 60, schedule: 'constant', warmup: 0, clip: 0 },
        },
        () => {},
        { shelf: work.part(`${seed} ${epochs} ${images}`), signal: work.signal() },
      )
      runs.push({ seed, rounds })
    }
  } catch (thrown) {
    const late = thrown instanceof TimeIsUp || (thrown instanceof Error && /interrupted/.test(thrown.message))
    if (!late) throw thrown
    complete = false
  }
  const record = {
    command: `npm run bench -- tickets --seeds ${seeds.length} --epochs ${epochs} --images ${images}`,
    caps: `${epochs} epochs of ${images} images in each training, where the paper has 50 of 60,000`,
    ...{ complete, runs, means: meansOf(runs.map((r) => r.rounds)) },
  }
  await writeFile('test/bench/results/tickets.json', `${JSON.stringify(record, null, 2)}\n`)
  if (record.means.length > 0) await writeFile('test/bench/results/tickets.svg', ticketPlot(record.means))
  return record
}

function meansOf(runs: readonly (readonly Round[])[]): Round[] {
  const mean = (i: number, of: keyof Round) =>
    runs.reduce((sum, rounds) => sum + (rounds[i][of] ?? 0), 0) / runs.length
  return (runs[0] ?? []).map((_, i) => ({
    sparsity: mean(i, 'sparsity'),
    top1Ticket: mean(i, 'top1Ticket'),
    top1Random: mean(i, 'top1Random'),
    lossTicket: mean(i, 'lossTicket'),
    lossRandom: mean(i, 'lossRandom'),
  }))
}
