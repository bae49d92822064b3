import type { Coupling } from './coupling.js'
import { type Footprint, footprintOf } from './memory.js'
import { type Reach, reachOf } from './reach.js'

/**
 * What one unit of each group frees when it goes alone, in the order of the groups: exact costs with and without it.
 * A unit whose activations are not alive where memory peaks frees nothing of the peak.
 */
export function freedByUnit(coupling: Coupling, reach: readonly Reach[] = reachOf(coupling)): Footprint[] {
  const { graph, shapes } = coupling
  const dims = new Map<string, readonly number[]>(coupling.dims([]))
  const dense = footprintOf(graph, dims, shapes)
  return reach.map((shrinks) => {
    const before = [...shrinks.keys()].map((name) => [name, dims.get(name) ?? []] as const)
    for (const [name, was] of before)
      dims.set(
        name,
        was.map((size, axis) => size - (shrinks.get(name)?.[axis] ?? 0)),
      )
    const left = footprintOf(graph, dims, shapes)
    for (const [name, was] of before) dims.set(name, was)
    return difference(dense, left)
  })
}

/** What each block frees when it goes alone, in their order. */
export function freedByBlock(coupling: Coupling): Footprint[] {
  const { graph, shapes, blocks } = coupling
  const dims = coupling.dims([])
  const dense = footprintOf(graph, dims, shapes)
  return blocks.map((block) => difference(dense, footprintOf(coupling.without([block]), dims, shapes)))
}

const difference = (dense: Footprint, left: Footprint): Footprint => ({
  macs: dense.macs - left.macs,
  params: dense.params - left.params,
  weightBytes: dense.weightBytes - left.weightBytes,
  peakActivationBytes: dense.peakActivationBytes - left.peakActivationBytes,
  predictedRamBytes: dense.predictedRamBytes - left.predictedRamBytes,
})
