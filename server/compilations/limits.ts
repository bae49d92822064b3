import { EspalierError } from '@espalier/shared'
import type { NewCompilation } from '../http/schemas/index.js'

/** What one variant must meet; those given hold together. Memory in bytes, the others as shares of the dense network. */
export interface Limits {
  readonly memoryBytes?: number
  readonly macs?: number
  readonly params?: number
}

/**
 * One entry a variant. A kind of limit with a single value holds for all of them.
 * @throws REQUEST_INVALID where no limit is given, or lists do not go together
 */
export function limitsOf({ memoryBytes, macs, params }: NewCompilation): Limits[] {
  const kinds = Object.entries({ memoryBytes, macs, params }).flatMap(([kind, values]) =>
    values ? [[kind, values] as const] : [],
  )
  const variants = Math.max(0, ...kinds.map(([, values]) => values.length))
  if (variants === 0) {
    throw new EspalierError('REQUEST_INVALID', 'say what to compile for: memoryBytes, macs or params')
  }
  for (const [kind, { length }] of kinds) {
    if (length === 1 || length === variants) continue
    throw new EspalierError(
      'REQUEST_INVALID',
      `${variants} variants cannot take ${length} values of ${kind}; give one value for all, or ${variants}`,
    )
  }
  return Array.from({ length: variants }, (_, i) =>
    Object.fromEntries(kinds.map(([kind, values]) => [kind, values[values.length === 1 ? 0 : i]])),
  )
}
