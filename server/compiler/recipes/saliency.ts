import { EspalierError } from '@espalier/shared'
import type { Coupling } from '../analysis/index.js'
import type { Dataset } from '../data/index.js'
import { criteria } from '../saliency/index.js'

/** Scores of every unit by the criterion of that name. @throws OPTION_INVALID */
export async function saliency(
  name: string,
  coupling: Coupling,
  _data: Dataset,
  { seed }: { seed: number; signal?: AbortSignal },
): Promise<Float64Array[]> {
  if (Object.hasOwn(criteria, name)) return criteria[name as keyof typeof criteria](coupling, { seed })
  throw new EspalierError(
    'OPTION_INVALID',
    `'${name}' is not a criterion; choose one of ${Object.keys(criteria).join(', ')}`,
  )
}
