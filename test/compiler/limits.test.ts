import { variantLimits } from '@espalier/server/compiler/limits.js'
import t from 'tap'

t.test('limits of several kinds go together: one value for all, or one each', (t) => {
  t.same(variantLimits({ memoryBytes: [1e6, 2e6], macs: [0.5] }), [
    { memoryBytes: 1e6, macs: 0.5, params: undefined },
    { memoryBytes: 2e6, macs: 0.5, params: undefined },
  ])
  t.throws(() => variantLimits({ memoryBytes: [1, 2, 3], macs: [0.5, 0.6] }), { code: 'OPTION_INVALID' })
  t.throws(() => variantLimits({}), { code: 'OPTION_INVALID' })
  t.throws(() => variantLimits({ macs: [0.5, 1.5] }), { code: 'OPTION_INVALID' })
  t.end()
})
