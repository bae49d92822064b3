import { bySlices, type Criterion } from './criterion.js'
import { l1 } from './l1.js'

/**
 * Absolute scale of the batch normalisations behind a unit's channels (Liu et al. 2017, Network Slimming).
 * Groups without one, and blocks, are ranked as by l1.
 */
export const bnGamma: Criterion = (coupling, options) => {
  const scales = new Set(
    coupling.graph.nodes.filter((n) => n.op === 'BatchNormalization').map((n) => n.inputs[1]),
  )
  const gammas = bySlices({ counts: (name) => scales.has(name), element: Math.abs, total: (sum) => sum })(
    coupling,
    options,
  )
  const otherwise = l1(coupling, options)
  return otherwise.map((scores, i) =>
    coupling.groups[i]?.tensors.some((name) => scales.has(name)) ? gammas[i] : scores,
  )
}
