import { bySlices } from './criterion.js'

/** Sum of absolute weights (Li et al. 2017, Pruning Filters for Efficient ConvNets), over all that a unit touches. */
export const l1 = bySlices({
  counts: (_, t) => t.dims.length > 1,
  element: Math.abs,
  total: (sum) => sum,
})
