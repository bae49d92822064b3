import { limitsHere, variantLimits } from '@espalier/server/compiler/limits.js'
import t from 'tap'

t.test('limits of several kinds go together: one value for all, or one each', (t) => {
  t.same(variantLimits({ memoryBytes: [1e6, 2e6], macs: [0.5] }), [
    { memoryBytes: 1e6, macs: 0.5 },
    { memoryBytes: 2e6, macs: 0.5 },
  ])
  t.throws(() => variantLimits({ memoryBytes: [1, 2, 3], macs: [0.5, 0.6] }), { code: 'OPTION_INVALID' })
  t.same(variantLimits({ memoryBytes: [1e6, 2e6], artifactBytes: [3e5] })[1], {
    memoryBytes: 2e6,
    artifactBytes: 3e5,
  })
  t.throws(() => variantLimits({ artifactBytes: [0] }), { code: 'OPTION_INVALID' })
  t.throws(() => variantLimits({}), { code: 'OPTION_INVALID' })
  t.throws(() => variantLimits({ macs: [0.5, 1.5] }), { code: 'OPTION_INVALID' })
  t.end()
})

t.test('a budget on a board is another one here, or the same where nothing is known', (t) => {
  const board = { scale: 0.8, offsetBytes: 0.1e6 }
  t.same(limitsHere({ memoryBytes: 4.1e6, macs: 0.5 }, board), { memoryBytes: 5e6, macs: 0.5 })
  t.same(limitsHere({ memoryBytes: 4.1e6 }), { memoryBytes: 4.1e6 })
  t.same(limitsHere({ macs: 0.5 }, board), { macs: 0.5 })
  t.same(
    limitsHere({ memoryBytes: 0.05e6 }, board),
    { memoryBytes: 1 },
    'too small for the board, and so here',
  )
  t.end()
})
