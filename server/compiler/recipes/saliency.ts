import { EspalierError } from '@espalier/shared'
import type { Coupling } from '../analysis/index.js'
import type { Dataset } from '../data/index.js'
import { criteria, taylor } from '../saliency/index.js'

const fromWeights = Object.keys(criteria)

/** What ranks units where nobody says: the loss's own expansion where there are labels, else magnitude. */
export const defaultCriterion = (data: Dataset): string => (data.labels ? 'taylor' : 'l1')

/** @throws OPTION_INVALID for a name that is no criterion */
export function requireCriterion(name: string): void {
  if (name === 'taylor' || fromWeights.includes(name)) return
  throw new EspalierError(
    'OPTION_INVALID',
    `'${name}' is not a criterion; choose one of ${[...fromWeights, 'taylor'].sort().join(', ')}`,
  )
}

/** Scores of every unit by the criterion of that name, each group with a mean of one. @throws OPTION_INVALID */
export async function saliency(
  name: string,
  coupling: Coupling,
  data: Dataset,
  seed: number,
): Promise<Float64Array[]> {
  requireCriterion(name)
  if (name === 'taylor') return taylor(coupling, data)
  return criteria[name as keyof typeof criteria](coupling, { seed })
}
