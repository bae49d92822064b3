import { type Coupling, edgesOf, isBlock, type Unit, zeroOf } from '../analysis/index.js'
import { cutEdges, type Graph, type Node, node, type Tensor, withAttributes } from '../graph/index.js'
import type { Kept, NodeEdit } from '../ops/index.js'
import { constantNode } from './separate-constants.js'
import { sliceTensor, zeroOutside } from './tensors.js'

/**
 * The coupled graph without these units: constants sliced, sizes and attributes that counted them rewritten,
 * blocks cut out, annotations that no longer hold dropped. The same object if nothing was removed.
 */
export function removeUnits(coupling: Coupling, removed: Iterable<Unit>): Graph {
  const { graph } = coupling
  const gone = new Set(removed)
  if (gone.size === 0) return graph
  const kept = coupling.kept(gone)
  const constants = new Map<string, Tensor>()
  for (const [name, t, positions] of touched(coupling, gone)) constants.set(name, sliceTensor(t, positions))
  for (const [name, elements] of coupling.elements) {
    const t = graph.constant(name)
    if (!t) continue
    const data = t.data.slice()
    let changed = false
    for (const [i, axis] of elements) {
      const now = kept.count(axis)
      if (Number(data[i]) === now) continue
      data[i] = typeof data[i] === 'bigint' ? BigInt(now) : now
      changed = true
    }
    if (changed) constants.set(name, { dtype: t.dtype, dims: t.dims, data })
  }
  const edited = graph.nodes.flatMap((n) => edit(graph, n, coupling, kept, constants))
  const sliced = replaceConstants(graph.with({ nodes: edited, values: stillTrue(coupling, kept) }), constants)
  return cutEdges(sliced, edgesOf(gone))
}

/** The same graph, every weight of these units zero: what the pruned graph must compute. */
export function zeroUnits(coupling: Coupling, removed: Iterable<Unit>): Graph {
  const constants = new Map<string, Tensor>()
  for (const [name, t, positions] of touched(coupling, removed)) {
    if (!coupling.neverZero.has(name))
      constants.set(name, zeroOutside(t, positions, zeroOf(coupling, name, t)))
  }
  return replaceConstants(coupling.graph, constants)
}

/**
 * Constants that lose indices, with what stays along each dimension (null: all). Of those whose zeros are a block's,
 * nothing stays along the first.
 */
export function* touched(
  coupling: Coupling,
  removed: Iterable<Unit>,
): Generator<[string, Tensor, (number[] | null)[]]> {
  const { graph, axes, groups } = coupling
  const gone = [...removed]
  const kept = coupling.kept(gone)
  const ofBlocks = new Set(gone.filter(isBlock).flatMap((b) => b.slices.map((s) => s.tensor)))
  for (const name of new Set([...groups.flatMap((g) => g.tensors), ...ofBlocks])) {
    const t = graph.constant(name)
    const own = axes.get(name)
    if (!t || !own) continue
    const positions = own.map((a, d) => {
      if (d === 0 && ofBlocks.has(name)) return []
      const stays = kept.indices(a)
      return stays.length === a.atoms.length ? null : stays
    })
    if (positions.some((p) => p !== null)) yield [name, t, positions]
  }
}

function edit(graph: Graph, n: Node, coupling: Coupling, kept: Kept, constants: Map<string, Tensor>): Node[] {
  const edits = coupling.edits.get(n)
  if (!edits) return [n]
  let now = n
  let make = (n: Node): readonly Node[] => [n]
  const added: Node[] = []
  const by: NodeEdit = {
    attribute(name, value) {
      const was = now.attributes.get(name)
      if (was && 'value' in was && `${was.value}` === `${value}`) return
      if (!was && value === undefined) return
      now = withAttributes(now, { [name]: value })
    },
    input(i, value) {
      const name = now.inputs[i]
      if (name && graph.constant(name)) {
        constants.set(name, value)
        return
      }
      const made = `${n.outputs[0]}.input${i}`
      added.push(node('Constant', [], [made], { value }))
      const inputs = [...now.inputs]
      while (inputs.length <= i) inputs.push('')
      inputs[i] = made
      now = { ...now, inputs }
    },
    replace(given) {
      make = given
    },
  }
  for (const change of edits) change(kept, by)
  return [...added, ...make(now)]
}

function replaceConstants(graph: Graph, constants: ReadonlyMap<string, Tensor>): Graph {
  if (constants.size === 0) return graph
  const nodes = graph.nodes.map((n) => {
    const value = n.op === 'Constant' ? constants.get(n.outputs[0]) : undefined
    return value ? constantNode(n, value) : n
  })
  const initializers = new Map([...graph.initializers].map(([name, t]) => [name, constants.get(name) ?? t]))
  return graph.with({ nodes, initializers })
}

const stillTrue = ({ graph, axes }: Coupling, kept: Kept) =>
  new Map(
    [...graph.values].filter(([name]) => axes.get(name)?.every((a) => kept.count(a) === a.atoms.length)),
  )
