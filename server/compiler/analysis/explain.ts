import type { Node } from '../graph/index.js'
import { opFor } from '../ops/index.js'
import type { Coupling, Slice } from './coupling.js'
import { type BlockExplained, blocksExplained } from './explain-blocks.js'
import { freedByUnit } from './freed.js'
import { buffersOf, liveBytes } from './liveness.js'
import { type Footprint, footprintOf } from './memory.js'
import { reachOf } from './reach.js'
import { type GroupKind, wordsOf } from './words.js'

export interface GroupExplained {
  readonly id: number
  readonly label: string
  readonly kind: GroupKind
  /** What the units are, in words. */
  readonly what: string
  /** Names of the nodes whose weights make them. */
  readonly layers: readonly string[]
  readonly units: number
  /** Constants that a unit slices, and along which dimension how many indices of each go. */
  readonly tensors: readonly string[]
  readonly dimensions: readonly { tensor: string; dimension: number; indices: number }[]
  /** What one unit frees when it goes alone. */
  readonly bytesPerUnit: number
  readonly macsPerUnit: number
  readonly peakBytesPerUnit: number
  readonly ramBytesPerUnit: number
}

/** A node of an operator that nobody described: what it touches is left whole. */
export interface Undescribed {
  readonly node: string
  readonly operator: string
}

export interface Explanation {
  readonly dense: Footprint
  /** With one unit left in every group and no block: what pruning units cannot go below. */
  readonly floor: Footprint
  readonly groups: readonly GroupExplained[]
  readonly blocks: readonly BlockExplained[]
  readonly undescribed: readonly Undescribed[]
  /** Nodes at which as many bytes of activations are alive as at the peak. */
  readonly peakAt: readonly Node[]
}

/** What can go of a network, what that is and what it would free; what nobody described. */
export function explain(coupling: Coupling): Explanation {
  const { graph, shapes, groups, blocks } = coupling
  const reach = reachOf(coupling)
  const freed = freedByUnit(coupling, reach)
  const words = wordsOf(coupling, reach)
  const dims = coupling.dims([])
  const least = [...groups.flatMap((g) => g.units.slice(1)), ...blocks]
  const live = liveBytes(buffersOf(graph, dims), graph.nodes.length, dims)
  const peak = live.reduce((a, b) => Math.max(a, b), 0)
  return {
    dense: footprintOf(graph, dims, shapes),
    floor: footprintOf(coupling.without(least), coupling.dims(least), shapes),
    groups: groups.map(({ id, label, units, tensors }, g) => ({
      id,
      label,
      kind: words[g].kind,
      what: words[g].text,
      layers: words[g].layers,
      units: units.length,
      tensors,
      dimensions: units[0].slices.map(dimensionOf),
      bytesPerUnit: freed[g].weightBytes,
      macsPerUnit: freed[g].macs,
      peakBytesPerUnit: freed[g].peakActivationBytes,
      ramBytesPerUnit: freed[g].predictedRamBytes,
    })),
    blocks: blocksExplained(coupling),
    undescribed: graph.nodes
      .filter((n) => n.op !== 'Constant' && !opFor(n))
      .map((n) => ({ node: n.name, operator: n.domain ? `${n.domain}.${n.op}` : n.op })),
    peakAt: graph.nodes.filter((_, i) => peak > 0 && live[i] === peak),
  }
}

const dimensionOf = ({ tensor, axis, indices }: Slice) => ({
  tensor,
  dimension: axis,
  indices: indices.length,
})
