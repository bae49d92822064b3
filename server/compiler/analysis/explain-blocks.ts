import type { Node } from '../graph/index.js'
import type { Coupling } from './coupling.js'
import { freedByBlock } from './freed.js'

export interface BlockExplained {
  /** The node that adds the branch. */
  readonly label: string
  /** Where the branch begins and ends: values. */
  readonly from: string
  readonly to: string
  /** Operators that go with it, and how many of each. */
  readonly ops: Readonly<Record<string, number>>
  /** Constants whose zeros make the branch zero. */
  readonly tensors: readonly string[]
  /** What it frees when it goes alone. */
  readonly params: number
  readonly bytes: number
  readonly macs: number
  readonly peakBytes: number
  readonly ramBytes: number
}

/** The blocks of a network: what goes with each, and what that frees. */
export function blocksExplained(coupling: Coupling): BlockExplained[] {
  const freed = freedByBlock(coupling)
  return coupling.blocks.map(({ label, from, edge, nodes, slices }, i) => ({
    label,
    from,
    to: edge.value,
    ops: countsOf(nodes),
    tensors: slices.map((s) => s.tensor),
    params: freed[i].params,
    bytes: freed[i].weightBytes,
    macs: freed[i].macs,
    peakBytes: freed[i].peakActivationBytes,
    ramBytes: freed[i].predictedRamBytes,
  }))
}

function countsOf(nodes: readonly Node[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { domain, op } of nodes) {
    const name = domain ? `${domain}.${op}` : op
    counts[name] = (counts[name] ?? 0) + 1
  }
  return counts
}
