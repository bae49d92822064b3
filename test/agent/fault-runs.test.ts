import t from 'tap'
import { counts, eachSeed, faultRun } from '../support/faults/run.js'

/** Fixed lives; `npm run bench -- faults --runs 1000` has as many as there is time for. */
const seeds = Array.from({ length: 20 }, (_, i) => i + 1)

t.test(
  'whatever befalls a fleet, it comes to rest with working models and every report accounted for',
  async (t) => {
    const none = Object.fromEntries(counts.map((count) => [count, 0]))
    await eachSeed(seeds, 3, async (seed) => {
      const outcome = await faultRun(seed)
      const { faults, reports, seconds } = outcome
      t.match(outcome, none, `seed ${seed}, ${reports} reports, ${seconds} s: ${faults.join(', ')}`)
    })
  },
)
