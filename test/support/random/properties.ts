import { type Coupling, costOf, type Unit, xorshift } from '@espalier/server/compiler/analysis/index.js'
import type { Graph } from '@espalier/server/compiler/graph/index.js'
import { readModel, writeModel } from '@espalier/server/compiler/onnx/index.js'
import { prunable, pruned } from '@espalier/server/compiler/surgery/index.js'
import { agreementOf } from '../../zoo/oracle.js'

/** What was seen of a network that has every property. */
export interface Seen {
  readonly units: number
  readonly groups: number
  /** Parameters with one unit a group over all of them. */
  readonly least: number
}

/**
 * What must hold of every network: it is written and read without loss; it can be analysed; removing units at random, and
 * all but one of each group, gives exactly the network with those weights zeroed, in the shapes that were predicted;
 * and what is removed on top never costs more.
 * @throws Error saying what does not hold
 */
export async function examine(graph: Graph, seed: number): Promise<Seen> {
  const bytes = writeModel(graph)
  if (!Buffer.from(writeModel(readModel(bytes))).equals(bytes))
    throw new Error('written again, the file differs')
  const subject = await prunable(graph)
  const { coupling } = subject
  const random = xorshift(seed)
  const some = new Set(coupling.groups.flatMap((g) => g.units.slice(1).filter(() => random() < 0.4)))
  const allButOne = new Set(coupling.groups.flatMap((g) => g.units.slice(1)))
  for (const [what, removed] of [
    ['units at random', some],
    ['all units but one a group', allButOne],
  ] as const) {
    if (removed.size === 0) continue
    const { gap } = await agreementOf(subject, removed, { seed })
    if (!(gap <= 1)) throw new Error(`without ${what} the outputs differ by ${gap} times what is allowed`)
    const real = pruned(subject, removed)
    if (!Buffer.from(writeModel(readModel(writeModel(real)))).equals(writeModel(real)))
      throw new Error(`without ${what} the file differs when it is written again`)
  }
  const costs = [new Set<Unit>(), some, allButOne].map((removed) => costWithout(coupling, removed))
  // A weight that two layers share counts once until they keep different parts of it.
  const sharesWeights = subject.separated.originals.size > 0
  for (const key of ['macs', 'params', 'weightBytes'] as const) {
    const rises =
      costs[2][key] > costs[1][key] || (costs[1][key] > costs[0][key] && !(sharesWeights && key !== 'macs'))
    if (rises) throw new Error(`${key} rise as units go: ${costs.map((c) => c[key])}`)
  }
  const units = coupling.groups.reduce((n, g) => n + g.units.length, 0)
  return { units, groups: coupling.groups.length, least: costs[2].params / costs[0].params }
}

const costWithout = (coupling: Coupling, removed: ReadonlySet<Unit>) =>
  costOf(coupling.graph, coupling.dims(removed), coupling.shapes)
