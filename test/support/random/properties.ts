import {
  type Coupling,
  costOf,
  type InputShapes,
  sampleInput,
  type Unit,
  xorshift,
} from '@espalier/server/compiler/analysis/index.js'
import { type Graph, numbersOf } from '@espalier/server/compiler/graph/index.js'
import { readModel, writeModel } from '@espalier/server/compiler/onnx/index.js'
import { openSession, run } from '@espalier/server/compiler/runtime/index.js'
import {
  checkPruning,
  prunable,
  pruned,
  verifyShapes,
  zeroUnits,
} from '@espalier/server/compiler/surgery/index.js'

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
 * and what is removed on top never costs more. Where the network itself makes its roundings large, exact is not asked.
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
    const real = pruned(subject, removed)
    await verifyShapes(subject, removed, real)
    const check = checkPruning(subject, removed, real, { inputs: 2, seed })
    await check.catch(async (thrown) => {
      if ((await noiseOf(zeroUnits(coupling, removed), coupling.shapes.inputs)) < 1e-5) throw thrown
    })
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

/** How far the runtime's rewriting alone moves the outputs, relative to their scale: roundings, as the network magnifies them. */
async function noiseOf(graph: Graph, shapes: InputShapes): Promise<number> {
  const random = xorshift(7)
  const feeds = Object.fromEntries(graph.inputs.map((v) => [v.name, sampleInput(v, shapes[v.name], random)]))
  const [as, bs] = [true, false].map(async (optimize) => {
    const session = await openSession(graph, { optimize })
    const outputs = await run(session, feeds)
    await session.release()
    return Object.values(outputs).map(numbersOf)
  })
  const [p, q] = [await as, await bs]
  const relative = p.map((values, i) => {
    const finite = values.flatMap((v, j) =>
      Number.isFinite(v) ? [[Math.abs(v), Math.abs(v - q[i][j])]] : [],
    )
    const scale = finite.reduce((most, [size]) => Math.max(most, size), 0)
    return finite.reduce((most, [, gap]) => Math.max(most, gap), 0) / (scale + 1e-2)
  })
  return Math.max(...relative)
}
