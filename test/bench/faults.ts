import { counts, eachSeed, faultRun, isWrong, type Outcome } from '../support/faults/run.js'
import { Resumable, TimeIsUp } from './parts/resumable.js'

export const about =
  'a service and two agents as processes under faults drawn from --seed (1): --runs (20), --faults (8 a run), --at-once (2), --minutes (none); every count but reports should be 0; what an earlier call ran is kept'

/** One run a seed, from `--seed` upward; a run that went wrong is told with its seed and its faults. */
export default async function faults(options: Readonly<Record<string, string>>): Promise<object> {
  const { runs = '20', seed: first = '1', faults = '8', 'at-once': atOnce = '2', minutes } = options
  const kept = await Resumable.open('faults', Number(minutes ?? Infinity))
  const outcomes: Outcome[] = []
  const seeds = Array.from({ length: Number(runs) }, (_, i) => Number(first) + i)
  const run = async (seed: number) => {
    const make = () => faultRun(seed, Number(faults))
    outcomes.push(await kept.figure<Outcome>(`seed ${seed}, ${faults} faults`, make))
  }
  await eachSeed(seeds, Number(atOnce), (seed) =>
    run(seed).catch((thrown) => {
      if (!(thrown instanceof TimeIsUp)) throw thrown
    }),
  )
  const sum = (of: 'reports' | (typeof counts)[number]) => outcomes.reduce((total, one) => total + one[of], 0)
  return {
    runs: outcomes.length,
    left: seeds.length - outcomes.length,
    seed: Number(first),
    faultsEach: Number(faults),
    reports: sum('reports'),
    ...Object.fromEntries(counts.map((count) => [count, sum(count)])),
    wrong: outcomes.filter(isWrong),
  }
}
