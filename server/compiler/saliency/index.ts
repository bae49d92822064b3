import { bnGamma } from './bn-gamma.js'
import type { Criterion } from './criterion.js'
import { l1 } from './l1.js'
import { l2 } from './l2.js'
import { random } from './random.js'

export type { Criterion, SaliencyOptions } from './criterion.js'
export { fisher } from './fisher.js'
export { keepShare } from './keep-share.js'
export { type MovementOptions, movement } from './movement.js'
export { normalised } from './normalised.js'
export { obd } from './obd.js'
export { type ReconstructionOptions, reconstruction } from './reconstruction.js'
export { type TaylorOptions, taylor } from './taylor.js'
export { type WeightCriterionName, type WeightScores, weightCriteria, weightScores } from './weights.js'

/** Criteria that need nothing but the weights, by the names of the command line. */
export const criteria = { 'bn-gamma': bnGamma, l1, l2, random } as const satisfies Record<string, Criterion>
