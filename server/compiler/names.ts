import { EspalierError } from '@espalier/shared'

/** Words by which people choose a method, apart from the methods so that asking does not load them. */
export const optimizerNames = ['adam', 'adamw', 'sgd'] as const
export type OptimizerName = (typeof optimizerNames)[number]

export const scheduleNames = ['constant', 'step', 'cosine', 'one-cycle'] as const
export type ScheduleName = (typeof scheduleNames)[number]

/** How units are ranked. */
export const criterionNames = [
  'bn-gamma',
  'fisher',
  'l1',
  'l2',
  'movement',
  'obd',
  'random',
  'reconstruction',
  'taylor',
] as const
export type CriterionName = (typeof criterionNames)[number]

/** @throws OPTION_INVALID for a name that is no criterion */
export function requireCriterion(name: string): asserts name is CriterionName {
  if (criterionNames.some((known) => known === name)) return
  throw new EspalierError(
    'OPTION_INVALID',
    `'${name}' is not a criterion; choose one of ${criterionNames.join(', ')}`,
  )
}
