import type { Node } from '../graph/index.js'
import * as activation from './activation.js'
import * as attention from './attention.js'
import * as concat from './concat.js'
import * as conv from './conv.js'
import type { OpDefinition } from './define.js'
import * as einsum from './einsum.js'
import * as elementwise from './elementwise.js'
import * as gemm from './gemm.js'
import { flatOperators, gradientRules, withoutGradient } from './gradients/index.js'
import * as indexing from './indexing.js'
import { loweringRules } from './lowering/index.js'
import * as mixing from './mixing.js'
import * as movement from './movement.js'
import * as normalization from './normalization.js'
import * as pad from './pad.js'
import * as pool from './pool.js'
import * as qlinear from './qlinear.js'
import * as quantize from './quantize.js'
import * as recurrent from './recurrent.js'
import * as reduce from './reduce.js'
import * as resize from './resize.js'
import * as rotary from './rotary.js'
import * as sampling from './sampling.js'
import * as shape from './shape.js'
import * as slice from './slice.js'
import * as whole from './whole.js'
import { zeroRules } from './zeros.js'

export * from './define.js'
export { Builder, passingAll, TRAINING_OPSET, tapsOf, type Window, windowOf } from './gradients/index.js'
export type { Lowering, LoweringPlace } from './lowering/index.js'
export type { NodeFacts, ZeroRule, ZeroSets } from './zeros.js'

const families = [
  activation,
  attention,
  concat,
  conv,
  elementwise,
  einsum,
  gemm,
  indexing,
  mixing,
  movement,
  normalization,
  pad,
  pool,
  qlinear,
  quantize,
  recurrent,
  reduce,
  resize,
  rotary,
  sampling,
  shape,
  slice,
  whole,
]

const isDefinition = (v: unknown): v is OpDefinition => typeof v === 'object' && v !== null && 'flow' in v

/** The operator's name with its domain before it, if that is not ONNX's own. */
export const fullName = ({ op, domain }: Pick<Node, 'op' | 'domain'>): string =>
  domain === '' ? op : `${domain}.${op}`

/** Every operator that the compiler knows; a definition exported by a family is in. */
export const operators: readonly OpDefinition[] = families.flatMap((family) =>
  Object.values(family as Readonly<Record<string, unknown>>)
    .flat()
    .filter(isDefinition)
    .map((o) => ({
      ...o,
      gradient: gradientRules[fullName(o)],
      lowering: loweringRules[fullName(o)],
      zeros: zeroRules[fullName(o)],
    })),
)

const key = (domain: string, op: string) => `${domain}:${op}`
const registry = new Map(operators.map((o) => [key(o.domain, o.op), o]))

/** Whether the node's outputs do not change with small changes of its inputs: gradients end there. */
export const flat = (n: Node): boolean => fullName(n) in flatOperators

/** Why the node's operator has no gradient, where one would lead through it. */
export const lacksGradient = (n: Node): string | undefined => withoutGradient[fullName(n)]

/** What is known of the node's operator; undefined for one that nobody described. */
export const opFor = (n: Node): OpDefinition | undefined => registry.get(key(n.domain, n.op))
