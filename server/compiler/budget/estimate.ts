import {
  buffersOf,
  type Coupling,
  constants,
  footprintOf,
  nodesThatRun,
  predictRam,
  type Shapes,
} from '../analysis/index.js'
import { opFor } from '../ops/index.js'

/** What a limit is about. */
export type Resource = 'memory' | 'macs' | 'params'

/** A cost from how many units each group keeps; quick, smooth, and good enough to rank removals by. */
export type Estimate = (kept: readonly number[]) => number

/** A softer maximum: buffers close to the peak count as well, since the next removal may make them the peak. */
const SHARPNESS = 8

/**
 * An estimate of a resource for every way to thin the groups. Each dimension is taken to shrink by as much as one unit
 * of each group was seen to shrink it; where an index belongs to several groups at once that is approximate.
 */
export function estimatorOf(coupling: Coupling, resource: Resource): Estimate {
  const { graph, groups, shapes } = coupling
  const full = coupling.dims([])
  const slopes = slopesOf(coupling, full)
  const dims = new Map<string, number[]>([...full].map(([name, d]) => [name, [...d]]))
  const moving = [...slopes]
  const settle = (kept: readonly number[]) => {
    for (const [name, axes] of moving) {
      const own = dims.get(name)
      const was = full.get(name)
      if (!own || !was) continue
      axes.forEach((bySlope, axis) => {
        let size = was[axis]
        for (const [g, slope] of bySlope) size -= slope * (groups[g].units.length - kept[g])
        own[axis] = Math.max(1, size)
      })
    }
  }
  const of = sizesIn(dims)
  if (resource === 'macs') {
    const costed = graph.nodes.flatMap((node) => {
      const macs = opFor(node)?.macs
      if (!macs) return []
      const context = {
        node,
        inputDims: (i: number) => of.dims(node.inputs[i]),
        outputDims: (i = 0) => of.dims(node.outputs[i]),
      }
      return [() => macs(context)]
    })
    return (kept) => {
      settle(kept)
      return costed.reduce((sum, macs) => sum + macs(), 0) / shapes.batch
    }
  }
  const weights = distinctConstants(coupling)
  const elements = () => weights.reduce((sum, name) => sum + of.count(name), 0)
  if (resource === 'params') {
    return (kept) => {
      settle(kept)
      return elements()
    }
  }
  const alive = aliveAt(coupling, full)
  const nodes = nodesThatRun(graph)
  return (kept) => {
    settle(kept)
    const peak = softMaximum(alive.map((values) => values.reduce((sum, v) => sum + of.count(v), 0)))
    return predictRam(4 * elements(), (4 * peak) / shapes.batch, nodes)
  }
}

/** The exact cost of a coupled network without these units. */
export function costWithout(coupling: Coupling, removed: Parameters<Coupling['dims']>[0]) {
  return footprintOf(coupling.graph, coupling.dims(removed), coupling.shapes)
}

/** For each value and each of its axes: by how much one unit of each group shrinks it. */
function slopesOf(coupling: Coupling, full: Shapes['dims']): Map<string, Map<number, number>[]> {
  const slopes = new Map<string, Map<number, number>[]>()
  coupling.groups.forEach(({ units }, g) => {
    for (const [name, dims] of coupling.dims(units.slice(0, 1))) {
      const was = full.get(name) ?? []
      dims.forEach((d, axis) => {
        if (d === was[axis]) return
        const own = slopes.get(name) ?? was.map(() => new Map<number, number>())
        own[axis].set(g, was[axis] - d)
        slopes.set(name, own)
      })
    }
  })
  return slopes
}

function distinctConstants({ graph }: Coupling): string[] {
  const seen = new Set<object>()
  const names: string[] = []
  for (const [name, t] of constants(graph)) {
    if (seen.has(t) || graph.uses(name) === 0) continue
    seen.add(t)
    names.push(name)
  }
  return names
}

/** The values whose buffers are alive at each node. */
function aliveAt({ graph }: Coupling, full: Shapes['dims']): string[][] {
  const alive = graph.nodes.map((): string[] => [])
  for (const { value, born, dies } of buffersOf(graph, full))
    for (let i = born; i <= dies; i++) alive[i].push(value)
  return alive
}

function softMaximum(values: readonly number[]): number {
  const most = values.reduce((a, b) => Math.max(a, b), 0)
  if (most === 0) return 0
  const sum = values.reduce((s, v) => s + (v / most) ** SHARPNESS, 0)
  return most * (sum / values.length) ** (1 / SHARPNESS)
}

function sizesIn(all: ReadonlyMap<string, readonly number[]>) {
  const dims = (name: string | undefined): readonly number[] => (name ? all.get(name) : undefined) ?? []
  return { dims, count: (name: string) => dims(name).reduce((n, d) => n * d, 1) }
}
