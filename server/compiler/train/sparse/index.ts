import { layerAxes } from '../../analysis/index.js'
import type { Graph } from '../../graph/index.js'
import type { TrainOptions } from '../options.js'
import type { Weights } from '../weights.js'
import { gradual, type Subject } from './gradual.js'
import { requirePlan, type SparsityPlan } from './plan.js'
import { softMovement } from './soft-movement.js'
import { softThreshold } from './soft-threshold.js'
import { masked, nonZeros, plain, type Sparsifier } from './sparsifier.js'

export { keepLargest, keepPattern, type Pattern } from './choose.js'
export { type SparsityPlan, sparsifyingMethods } from './plan.js'
export type { Sparsifier } from './sparsifier.js'
export { type Scope, scopes, sharesOf } from './spread.js'

/** What the options ask for. @throws OPTION_INVALID */
export function sparsifierOf(
  graph: Graph,
  weights: Weights,
  options: TrainOptions,
  run: { readonly steps: number; readonly lr: number },
): Sparsifier {
  const { names, list } = weights
  if (options.sparsity) {
    requirePlan(options.sparsity)
    const layers = layerAxes(graph)
    return methods[options.sparsity.method](
      {
        ...run,
        fed: list,
        dims: names.map((name) => weights.dims(name)),
        sparse: names.map((name) => layers.has(name)),
      },
      options.sparsity,
    )
  }
  if (!options.keepZeros) return plain(list)
  return masked(
    list,
    list.map((w, k) => (weights.dims(names[k]).length > 1 ? nonZeros(w) : undefined)),
  )
}

const methods: Readonly<
  Record<SparsityPlan['method'], (subject: Subject, plan: SparsityPlan) => Sparsifier>
> = { magnitude: gradual, movement: gradual, 'soft-movement': softMovement, str: softThreshold }
