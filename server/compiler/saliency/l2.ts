import { bySlices } from './criterion.js'

/** Euclidean norm of the weights that a unit touches. */
export const l2 = bySlices({
  counts: (_, t) => t.dims.length > 1,
  element: (v) => v * v,
  total: Math.sqrt,
})
