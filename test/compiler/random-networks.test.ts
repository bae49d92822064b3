import fc from 'fast-check'
import t from 'tap'
import { grown, recipes } from '../support/random/network.js'
import { examine } from '../support/random/properties.js'

t.test(
  'forty random networks are pruned exactly, in the shapes predicted, and their costs fall',
  async (t) => {
    let prunable = 0
    await fc.assert(
      fc.asyncProperty(recipes, async (recipe) => {
        const { units, groups } = await examine(grown(recipe), 1)
        if (units > groups) prunable++
      }),
      { seed: 20_261_125, numRuns: 40 },
    )
    t.ok(prunable >= 35, `${prunable} of them have something to prune`)
  },
)
