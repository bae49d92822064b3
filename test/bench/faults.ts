import { counts, faultRuns, isWrong, type Outcome } from '../support/faults/run.js'

export const about =
  'a service and two agents as processes under faults drawn from --seed (1): --runs (20), --faults (8 a run), --at-once (2); every count but reports should be 0'

/** One run a seed, from `--seed` upward; a run that went wrong is told with its seed and its faults. */
export default async function faults(options: Readonly<Record<string, string>>): Promise<object> {
  const { runs = '20', seed = '1', faults = '8', 'at-once': atOnce = '2' } = options
  const total: Record<string, number> = {
    reports: 0,
    ...Object.fromEntries(counts.map((count) => [count, 0])),
  }
  const wrong: Outcome[] = []
  const seeds = Array.from({ length: Number(runs) }, (_, i) => Number(seed) + i)
  await faultRuns(seeds, {
    atOnce: Number(atOnce),
    faults: Number(faults),
    onEnd: (outcome) => {
      total.reports += outcome.reports
      for (const count of counts) total[count] += outcome[count]
      if (isWrong(outcome)) wrong.push(outcome)
      const { seed, seconds, reports, faults } = outcome
      const bad = counts.filter((count) => outcome[count] > 0).map((count) => `${count} ${outcome[count]}, `)
      process.stderr.write(
        `seed ${seed}: ${bad.join('')}${seconds} s, ${reports} reports, ${faults.join(', ')}\n`,
      )
    },
  })
  return { runs: Number(runs), seed: Number(seed), faultsEach: Number(faults), ...total, wrong }
}
