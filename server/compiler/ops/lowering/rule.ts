import type { Place } from '../gradients/index.js'

/** What a lowering may ask about the node that it rewrites. All shapes are concrete. */
export type LoweringPlace = Pick<Place, 'node' | 'g' | 'shape' | 'dtype' | 'constant'>

/**
 * The same in operators that have gradients, where the operator has none of its own: the names of the values that take
 * the place of the node's outputs ('' for one that cannot be given), or undefined where the node is better left as it is.
 */
export type Lowering = (place: LoweringPlace) => readonly string[] | undefined
/** By operator; those of another domain than ONNX's own as `domain.Operator`. */
export type Lowerings = Readonly<Record<string, Lowering>>
