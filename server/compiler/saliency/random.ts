import { xorshift } from '../analysis/index.js'
import { type Criterion, normalised } from './criterion.js'

/** No opinion: the baseline that a criterion has to beat. */
export const random: Criterion = (coupling, { seed = 0 } = {}) => {
  const next = xorshift(seed)
  return coupling.groups.map((g) => normalised(Float64Array.from(g.units, next)))
}
