import { xorshift } from '../analysis/index.js'
import type { Criterion } from './criterion.js'
import { normalised } from './normalised.js'

/** No opinion: the baseline that a criterion has to beat. */
export const random: Criterion = (coupling, { seed = 0 } = {}) => {
  const next = xorshift(seed)
  return [...coupling.groups.map((g) => g.units), coupling.blocks].map((units) =>
    normalised(Float64Array.from(units, next)),
  )
}
