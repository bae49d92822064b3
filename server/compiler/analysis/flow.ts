import { type Graph, type Node, numbersOf, reads, type Tensor } from '../graph/index.js'
import {
  type Axis,
  type FlowContext,
  type Flowing,
  type Kept,
  type NodeEdit,
  type Origin,
  opFor,
  type Quantised,
} from '../ops/index.js'
import type { Reason } from './atoms.js'
import { Atoms } from './atoms.js'
import { Axes } from './axes.js'
import { constants, type Shapes } from './shapes.js'
import { weightsOf } from './weights.js'

export type Edit = (kept: Kept, node: NodeEdit) => void

/** What the operators said about one graph: atoms still to be closed, and the edits that pruning asks for. */
export interface Flows {
  readonly atoms: Atoms
  readonly values: ReadonlyMap<string, Flowing>
  readonly edits: ReadonlyMap<Node, readonly Edit[]>
  /** Elements of integer constants that are the size of an axis. */
  readonly elements: ReadonlyMap<string, ReadonlyMap<number, Axis>>
  readonly neverZero: ReadonlySet<string>
  readonly quantised: ReadonlyMap<string, Quantised>
}

class Declined extends Error {}

const isAxis = (given: Axis | readonly Axis[]): given is Axis => 'atoms' in given
const outside = (text: string): Reason => ({ text, node: '', op: '' })

/** Lets indices flow through the graph, node by node. Every constant must be its consumer's own. */
export function flow(graph: Graph, shapes: Shapes): Flows {
  const atoms = new Atoms()
  const axes = new Axes(atoms)
  const values = new Map<string, Flowing>()
  const edits = new Map<Node, Edit[]>()
  const elements = new Map<string, Map<number, Axis>>()
  const neverZero = new Set<string>()
  const counted: { readonly tensor: string; readonly index: number; readonly reason: Reason }[] = []
  const quantised = new Map<string, Quantised>()

  for (const v of graph.inputs) {
    const reason = outside(`it is the network's input '${v.name}'`)
    values.set(v.name, { axes: (shapes.dims.get(v.name) ?? []).map((s) => axes.fixed(s, reason)) })
  }
  const weights = weightsOf(graph)
  for (const [name, t] of constants(graph))
    values.set(name, constantFlow(name, t, axes, shapes, weights.has(name)))
  for (const n of graph.nodes) {
    if (graph.constant(n.outputs[0])) continue
    const own: Edit[] = []
    const results = flowOf(n, own)
    n.outputs.forEach((name, i) => {
      if (name) values.set(name, withOrigins(name, results[i]))
    })
    if (own.length > 0) edits.set(n, own)
  }
  for (const o of graph.outputs) {
    const reason = outside(`it is the network's output '${o.name}'`)
    for (const a of values.get(o.name)?.axes ?? []) freezeAll(a, reason)
    keepSizes(o.name, reason)
  }
  // A number that is a size here and a number there must stay: what it is the size of does too.
  for (const { tensor, index, reason } of counted) {
    const axis = elements.get(tensor)?.get(index)
    if (axis) freezeAll(axis, reason)
  }
  return { atoms, values, edits, elements, neverZero, quantised }

  function freezeAll(axis: Axis, reason: Reason) {
    for (const atom of axis.atoms) atoms.freeze(atom, reason)
  }

  function withOrigins(name: string, result: Flowing): Flowing {
    const held = shapes.integers.get(name)
    if (!held) return result
    if (result.origins?.length === held.length) return result
    return { ...result, origins: held.map((): Origin => ({ from: 'computed' })) }
  }

  function flowOf(n: Node, own: Edit[]): readonly Flowing[] {
    const rule = opFor(n)
    const name = n.domain ? `${n.domain}.${n.op}` : n.op
    keepCounted(n, rule?.sizes ?? [])
    try {
      if (!rule) throw new Declined(`operator ${name} is not described`)
      const results = rule.flow(context(n, own))
      check(n, results)
      return results
    } catch (thrown) {
      if (!(thrown instanceof Declined)) throw thrown
      own.length = 0
      const reason: Reason = { text: thrown.message, node: n.name, op: name }
      for (const input of reads(n)) for (const a of values.get(input)?.axes ?? []) freezeAll(a, reason)
      return n.outputs.map((o) => ({ axes: (shapes.dims.get(o) ?? []).map((s) => axes.fixed(s, reason)) }))
    }
  }

  /** Leaves axes whole whose size the node uses as a number. */
  function keepCounted(n: Node, followed: readonly number[]) {
    if (followed.includes(Number.POSITIVE_INFINITY)) return
    const names = reads(n).filter((name) => !followed.some((i) => n.inputs[i] === name))
    for (const name of names)
      keepSizes(name, { text: 'its size is used as a number', node: n.name, op: n.op })
  }

  function keepSizes(value: string, reason: Reason) {
    for (const o of values.get(value)?.origins ?? []) {
      if (o.from === 'axis') freezeAll(o.axis, reason)
      if (o.from === 'constant') counted.push({ ...o, reason })
    }
  }

  /** A rule that disagrees with the run is a mistake in the rule: the node is left whole rather than trusted. */
  function check(n: Node, results: readonly Flowing[]) {
    n.outputs.forEach((o, i) => {
      const real = o ? shapes.dims.get(o) : undefined
      const said = results[i]?.axes.map((a) => a.atoms.length)
      if (real && `${said}` !== `${real}`)
        throw new Declined(`its shape [${real}] is not what ${n.op} is known to give ([${said}])`)
    })
  }

  function context(n: Node, own: Edit[]): FlowContext {
    const inputs = n.inputs.map((i) => (i ? values.get(i) : undefined))
    const why = (text: string): Reason => ({ text, node: n.name, op: n.op })
    const decline = (reason: string): never => {
      throw new Declined(reason)
    }
    return {
      graph,
      node: n,
      opset: graph.opset,
      inputs,
      axes: (i) => inputs[i]?.axes ?? decline(`input ${i} is missing`),
      outputDims: (i = 0) =>
        shapes.dims.get(n.outputs[i]) ?? decline(`the shape of output ${i} is not known`),
      constant: (i) => (n.inputs[i] ? graph.constant(n.inputs[i]) : undefined),
      integers: (i) => {
        const held = n.inputs[i] ? graph.constant(n.inputs[i]) : undefined
        return held ? numbersOf(held) : shapes.integers.get(n.inputs[i])
      },
      results: () => shapes.integers.get(n.outputs[0]),
      same(a, b) {
        if (a.atoms.length !== b.atoms.length)
          decline(`dimensions of ${a.atoms.length} and ${b.atoms.length} should agree`)
        if (a.atoms === b.atoms) return
        a.atoms.forEach((atom, i) => {
          atoms.join(atom, b.atoms[i])
        })
      },
      fixed: (size, reason) => axes.fixed(size, why(reason)),
      fresh: (size, zero) => axes.fresh(size, zero),
      freeze(given, reason) {
        for (const axis of isAxis(given) ? [given] : given) freezeAll(axis, why(reason))
      },
      split: (axis, sizes) => axes.split(axis, sizes, why('it cannot be split')),
      merge: (parts) => axes.merge(parts, why('a size of one')),
      pick: (axis, indices) => axes.pick(axis, indices),
      concat: (parts) => axes.concat(parts),
      reshape: (before, sizes) =>
        axes.reshape(before, sizes, why('its reshaping is no split or merge of dimensions')),
      sizes(origin, axis) {
        if (axes.isFrozen(axis) && origin?.from !== 'axis') return
        if (origin?.from === 'constant') tieElement(origin.tensor, origin.index, axis)
        else if (origin?.from === 'axis' && origin.axis.atoms.length === axis.atoms.length)
          this.same(origin.axis, axis)
        else freezeAll(axis, why('its size is computed'))
      },
      neverZero: (i) => neverZero.add(n.inputs[i]),
      quantised: (i, scheme) => quantised.set(n.inputs[i], scheme),
      onPrune: (edit) => own.push(edit),
      decline,
    }
  }

  function tieElement(tensor: string, index: number, axis: Axis) {
    const known = elements.get(tensor) ?? new Map<number, Axis>()
    elements.set(tensor, known)
    const before = known.get(index)
    if (!before) known.set(index, axis)
    else
      before.atoms.forEach((atom, i) => {
        atoms.join(atom, axis.atoms[i])
      })
  }
}

function constantFlow(name: string, t: Tensor, axes: Axes, shapes: Shapes, isWeight: boolean): Flowing {
  const reason = outside('a constant that holds no weights')
  const own = t.dims.map((size) => (isWeight ? axes.fresh(size, true) : axes.fixed(size, reason)))
  const origins = shapes.integers
    .get(name)
    ?.map((_, index): Origin => ({ from: 'constant', tensor: name, index }))
  return { axes: own, origins }
}
