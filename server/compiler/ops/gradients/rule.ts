import type { DType, Node, Tensor } from '../../graph/index.js'
import type { Builder } from './builder.js'

/** What a gradient rule may ask about the node it differentiates. All shapes are concrete. */
export interface Place {
  readonly node: Node
  /** Where the rule writes its nodes. */
  readonly g: Builder
  /** Gradients of the node's outputs; '' where nothing depends on an output. */
  readonly dys: readonly string[]
  /** Gradient of the first output. */
  readonly dy: string
  /** Whether the gradient of input `i` is of use to anybody. */
  wants(i: number): boolean
  shape(value: string): readonly number[]
  dtype(value: string): DType
  constant(value: string): Tensor | undefined
  /** Marks a gradient that still has ones where the input has sizes: it is spread when it is summed or used. */
  broadcast(gradient: string): string
  /** Makes the forward node compute its optional output `i` too, and gives that output's name. */
  output(i: number): string
}

/**
 * The gradient of one operator: for each input the name of its gradient (of the input's shape), or '' where
 * there is none. Rules may leave out inputs that nobody wants.
 */
export type GradientRule = (place: Place) => readonly string[]

/** Operators whose rule takes the gradients of all their outputs; those of others pass through the first alone. */
export const passingAll: ReadonlySet<string> = new Set([
  'Split',
  'LayerNormalization',
  'SimplifiedLayerNormalization',
])

/** By operator; those of another domain than ONNX's own as `domain.Operator`. */
export type GradientRules = Readonly<Record<string, GradientRule>>
