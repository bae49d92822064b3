import { activations } from './activation.js'
import { attentions } from './attention.js'
import { normalizations } from './normalization.js'
import { pads } from './pad.js'
import { pools } from './pool.js'
import { recurrents } from './recurrent.js'
import { rotary } from './rotary.js'
import type { Lowerings } from './rule.js'
import { samplings } from './sampling.js'

export type { Lowering, LoweringPlace, Lowerings } from './rule.js'

/** Compound operators in terms of those that have gradients. */
export const loweringRules: Lowerings = {
  ...activations,
  ...attentions,
  ...normalizations,
  ...pads,
  ...pools,
  ...recurrents,
  ...rotary,
  ...samplings,
}
