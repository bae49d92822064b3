import t from 'tap'
import { faultRun } from '../support/faults/run.js'

/** Fixed lives; `npm run bench -- faults --runs 1000` has as many as there is time for. */
const seeds = [1, 3, 4, 7, 20]

t.test(
  'whatever befalls a fleet, it comes to rest with working models and every report accounted for',
  async (t) => {
    for (const seed of seeds) {
      const { faults, reports, seconds: _, ...counts } = await faultRun(seed)
      const none = { notConverged: 0, brokenModels: 0, lostReports: 0, storedTwice: 0, obeyedWrongly: 0 }
      t.same(counts, { seed, ...none }, `seed ${seed}, ${reports} reports: ${faults.join(', ')}`)
    }
  },
)
