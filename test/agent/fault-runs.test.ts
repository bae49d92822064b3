import t from 'tap'
import { counts, faultRuns } from '../support/faults/run.js'

/** Fixed lives; `npm run bench -- faults --runs 1000` has as many as there is time for. */
const seeds = Array.from({ length: 20 }, (_, i) => i + 1)

t.test(
  'whatever befalls a fleet, it comes to rest with working models and every report accounted for',
  async (t) => {
    const none = Object.fromEntries(counts.map((count) => [count, 0]))
    await faultRuns(seeds, {
      atOnce: 3,
      onEnd: (outcome) => {
        const { seed, faults, reports, seconds } = outcome
        const said = `seed ${seed}, ${reports} reports, ${seconds} s: ${faults.join(', ')}`
        t.match(outcome, none, said)
      },
    })
  },
)
