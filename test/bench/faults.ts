import { faultRun } from '../support/faults/run.js'

export const about =
  'a service and two agents as processes under faults drawn from --seed (1): --runs (20), --faults (8 a run); every count but reports should be 0'

const counts = ['notConverged', 'brokenModels', 'lostReports', 'storedTwice', 'obeyedWrongly'] as const

/** One run a seed, from `--seed` upward; a run that went wrong is told with its seed and its faults. */
export default async function faults(options: Readonly<Record<string, string>>): Promise<object> {
  const { runs = '20', seed = '1', faults = '8' } = options
  const total: Record<string, number> = { reports: 0 }
  const wrong: object[] = []
  for (let i = 0; i < Number(runs); i++) {
    const outcome = await faultRun(Number(seed) + i, Number(faults))
    total.reports += outcome.reports
    for (const count of counts) total[count] = (total[count] ?? 0) + outcome[count]
    if (counts.some((count) => outcome[count] > 0)) wrong.push(outcome)
    process.stderr.write(
      `seed ${outcome.seed}: ${outcome.seconds} s, ${outcome.reports} reports, ${outcome.faults.join(', ')}\n`,
    )
  }
  return { runs: Number(runs), seed: Number(seed), faultsEach: Number(faults), ...total, wrong }
}
