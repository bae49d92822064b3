import type { Dataset } from '@espalier/server/compiler/data/index.js'

/** The values of samples that are held in memory. */
export function heldOf({ values }: Pick<Dataset, 'values'>): Float32Array | Uint8Array | Int32Array {
  if ('kind' in values) throw new Error('the samples are on disk')
  return values
}
