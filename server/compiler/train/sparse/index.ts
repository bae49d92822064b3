import type { TrainOptions } from '../options.js'
import type { Weights } from '../weights.js'
import { masked, nonZeros, plain, type Sparsifier } from './sparsifier.js'

export type { Sparsifier } from './sparsifier.js'

/** What the options ask for. */
export function sparsifierOf(weights: Weights, options: TrainOptions): Sparsifier {
  const { names, list } = weights
  if (!options.keepZeros) return plain(list)
  return masked(
    list,
    list.map((w, k) => (weights.dims(names[k]).length > 1 ? nonZeros(w) : undefined)),
  )
}
