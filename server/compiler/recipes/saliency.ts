import { EspalierError } from '@espalier/shared'
import type { Coupling } from '../analysis/index.js'
import type { Dataset } from '../data/index.js'
import { type CriterionName, requireCriterion } from '../names.js'
import { criteria, fisher, movement, obd, reconstruction, taylor } from '../saliency/index.js'

type FromData = (coupling: Coupling, data: Dataset, seed: number) => Promise<Float64Array[]>

/** Criteria that look at data, by the names of the command line. */
const fromData = {
  fisher: (coupling, data) => fisher(coupling, data),
  movement: (coupling, data, seed) => movement(coupling, data, { seed }),
  obd: (coupling, data) => obd(coupling, data),
  reconstruction: (coupling, data, seed) => reconstruction(coupling, data, { seed }),
  taylor: (coupling, data) => taylor(coupling, data, { across: true }),
} as const satisfies Record<Exclude<CriterionName, keyof typeof criteria>, FromData>

/** What ranks units where nobody says: the loss's own expansion where there are labels, else magnitude. */
export const defaultCriterion = (data: Dataset): string => (data.labels ? 'taylor' : 'l1')

const looksAtData = (name: CriterionName): name is keyof typeof fromData => name in fromData

/**
 * Scores of every unit by the criterion of that name; each group has a mean of one, but by those of the loss, which compare layers.
 * @throws OPTION_INVALID for another name, or for a criterion that looks at data where there are none
 */
export async function saliency(
  name: string,
  coupling: Coupling,
  data: Dataset | undefined,
  seed: number,
): Promise<Float64Array[]> {
  requireCriterion(name)
  if (!looksAtData(name)) return criteria[name](coupling, { seed })
  if (!data)
    throw new EspalierError(
      'OPTION_INVALID',
      `--criterion ${name} looks at ${name === 'reconstruction' ? 'data' : 'labelled data'}: give --data`,
    )
  return fromData[name](coupling, data, seed)
}
