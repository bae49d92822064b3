import type { Graph, Node, Tensor } from '../graph/index.js'
import type { GradientRule } from './gradients/index.js'
import type { Level } from './level.js'
import type { Lowering } from './lowering/index.js'
import type { ZeroRule } from './zeros.js'

/**
 * One dimension of a value as coupling sees it: an atom for each index. Indices with one atom live or die
 * together. `zero`: once a removed index's weights are zero, everything at that index is exactly zero.
 */
export interface Axis {
  readonly atoms: Int32Array
  readonly zero: boolean
}

/** Where an element of a small integer vector comes from: it decides whether pruning may change it. */
export type Origin =
  | { readonly from: 'constant'; readonly tensor: string; readonly index: number }
  | { readonly from: 'axis'; readonly axis: Axis }
  | { readonly from: 'computed' }

/** A value as it flows: its dimensions and, for small integer vectors and scalars, its elements' origins. */
export interface Flowing {
  readonly axes: readonly Axis[]
  readonly origins?: readonly Origin[]
  /** Of quantised values: along which dimensions removed indices hold exactly the zero point. */
  readonly rest?: Rest
  /** By dimension, what removed indices hold where that is not zero and yet known (see `level.ts`). */
  readonly levels?: readonly (Level | undefined)[]
}

/** `at`: the zero point, a number or the value that computes it. */
export interface Rest {
  readonly at: number | string
  readonly along: readonly boolean[]
}

/** What elements of a quantised constant mean: scale · (element − point). */
export interface Quantised {
  /** Constants of one element, or one an index of `axis`; absent where the scale is one, or the point nought. */
  readonly scale?: string
  readonly point?: string
  readonly axis: number
}

/** What is left once units are gone. */
export interface Kept {
  /** Positions along `axis` that stay, ascending. */
  indices(axis: Axis): number[]
  count(axis: Axis): number
}

/** How a node itself changes when units go. Its constants are its own: no other node reads them. */
export interface NodeEdit {
  attribute(name: string, value: number | readonly number[] | undefined): void
  /** Gives input `i` a new constant. */
  input(i: number, value: Tensor): void
  /** Puts other nodes in its place, which give its outputs; `make` is handed the node as edited so far. */
  replace(make: (n: Node) => readonly Node[]): void
}

/** What an operator's flow rule is given. All of it speaks of one concrete run of the network. */
export interface FlowContext {
  readonly graph: Graph
  readonly node: Node
  readonly opset: number
  /** Inputs by position; undefined where absent. */
  readonly inputs: readonly (Flowing | undefined)[]
  /** The axes of input `i`. Declines where that input is absent. */
  axes(i: number): readonly Axis[]
  /** Shape of output `i` in the run. */
  outputDims(i?: number): readonly number[]
  /** The constant that input `i` is, if it is one. */
  constant(i: number): Tensor | undefined
  /** Elements of a small integer input: of a constant, or as they were in the run. */
  integers(i: number): readonly number[] | undefined
  /** Elements of output 0, if it is a small integer value, as they were in the run. */
  results(): readonly number[] | undefined

  /** Declares that the axes, of one size, agree index by index: those indices live or die together. */
  same(a: Axis, b: Axis): void
  /** An axis that pruning never touches; the reason is kept for people. */
  fixed(size: number, reason: string): Axis
  /** An axis of new atoms, tied to nothing yet. */
  fresh(size: number, zero: boolean): Axis
  /** Nothing along these axes ever goes; the reason is kept for people. */
  freeze(axes: Axis | readonly Axis[], reason: string): void
  /** The row-major factors of an axis: an index goes when any of its factors' indices goes. */
  split(axis: Axis, sizes: readonly number[]): Axis[]
  /** The row-major product of axes. */
  merge(axes: readonly Axis[]): Axis
  pick(axis: Axis, indices: readonly number[]): Axis
  concat(axes: readonly Axis[]): Axis
  /** Axes after a row-major reshape to `sizes`. */
  reshape(axes: readonly Axis[], sizes: readonly number[]): Axis[]
  /** States that an element of an integer vector is the size of `axis`, so that it follows when indices go. */
  sizes(origin: Origin | undefined, axis: Axis): void
  /** Input `i` is sliced but never zeroed (a divisor). */
  neverZero(i: number): void
  /** States what the elements of constant input `i` mean. */
  quantised(i: number, scheme: Quantised): void
  /** Registers what the node itself must change; runs once units are chosen. */
  onPrune(edit: (kept: Kept, node: NodeEdit) => void): void
  /** Gives up: everything the node touches is left whole, for this reason. */
  decline(reason: string): never
}

/** The shapes a node sees, by position; `dims(i)` is empty for absent inputs. */
export interface CostContext {
  readonly node: Node
  inputDims(i: number): readonly number[]
  outputDims(i?: number): readonly number[]
}

/** Everything the compiler knows of one operator. */
export interface OpDefinition {
  readonly op: string
  /** '' is ONNX's own domain. */
  readonly domain: string
  /** Why nothing that touches it can be pruned, where that holds whatever it is given. */
  readonly whole?: string
  /** How indices flow: the axes of each output, joined to those of the inputs as the operator demands. */
  readonly flow: (f: FlowContext) => readonly Flowing[]
  /**
   * Inputs whose elements may be sizes of axes because `flow` hands them on as `origins` or ties them by `sizes`;
   * Infinity stands for all. Where a size is used as a number anywhere else, the axis that it counts is left whole.
   */
  readonly sizes?: readonly number[]
  /** Inputs that hold weights, or what counts with them by index, also where those are integers. */
  readonly weights?: readonly number[]
  /** Multiply–accumulates of one run; 0 for what only moves or maps elements. */
  readonly macs: (c: CostContext) => number
  /** Kept apart in `zeros.ts`; absent where the output is never zero for certain. */
  readonly zeros?: ZeroRule
  /** Kept apart in `gradients/`; absent where training cannot go through the operator as it is. */
  readonly gradient?: GradientRule
  /** Kept apart in `lowering/`: how training writes the operator out first, in some forms or all. */
  readonly lowering?: Lowering
}

export const defineOp = (definition: Omit<OpDefinition, 'domain'> & { domain?: string }): OpDefinition => ({
  domain: '',
  ...definition,
})

/** Operators that onnxruntime adds to ONNX's: fusions, mostly. */
export const MICROSOFT = 'com.microsoft'

/** The cost of operators without multiply–accumulates. */
export const noMacs = (): number => 0

/** The axis with another `zero`. */
export const withZero = (a: Axis, zero: boolean): Axis => (a.zero === zero ? a : { atoms: a.atoms, zero })

/** A dimension of size one. */
export const one = (f: FlowContext): Axis => f.fixed(1, 'a size of one')

/** Leaves axes whole whose size input `i` holds: what becomes of it is not followed. */
export function keepSizes(f: FlowContext, i: number): void {
  for (const origin of f.inputs[i]?.origins ?? [])
    if (origin.from === 'axis') f.freeze(origin.axis, 'its size is used as a number')
}

/** An operator of which nothing can be pruned, and why. */
export const leftWhole = (op: string, reason: string, domain = ''): OpDefinition =>
  defineOp({ op, domain, whole: reason, flow: (f) => f.decline(reason), macs: noMacs })

export const product = (sizes: readonly number[]): number => sizes.reduce((n, s) => n * s, 1)

/** `axis` as a position from 0 for a value of this rank. */
export const positive = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis)
