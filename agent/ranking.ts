import type { CatalogueVariant, Goal } from '@espalier/shared/messages/index.js'

/** Variants by promise for a goal, the most promising first. */
export const byPromise: Readonly<
  Record<Goal, (variants: readonly CatalogueVariant[]) => CatalogueVariant[]>
> = {
  accuracy: byAccuracy,
  speed: (variants) => ordered(variants, ({ macs }) => macs),
  smallness: (variants) => ordered(variants, memoryOf),
}

/** What the catalogue says of a variant's memory, bytes; null if it says nothing. */
export const memoryOf = (v: CatalogueVariant): number | null => v.measuredRamBytes ?? v.predictedRamBytes

/** The least first; what is not known of comes last, by bytes of the file. */
function ordered(
  variants: readonly CatalogueVariant[],
  cost: (variant: CatalogueVariant) => number | null,
): CatalogueVariant[] {
  const costOf = (v: CatalogueVariant) => cost(v) ?? Number.MAX_VALUE
  return [...variants].sort(
    (a, b) => costOf(a) - costOf(b) || a.bytes - b.bytes || (a.digest < b.digest ? -1 : 1),
  )
}

/**
 * The most accurate first, where those that tie with it go by size, larger first. Without a known accuracy a variant
 * comes after all that have one, larger first.
 */
export function byAccuracy(variants: readonly CatalogueVariant[]): CatalogueVariant[] {
  const left = [...variants].sort(
    (a, b) =>
      (b.top1?.value ?? -1) - (a.top1?.value ?? -1) ||
      sizeOf(b) - sizeOf(a) ||
      (a.digest < b.digest ? -1 : 1),
  )
  const order: CatalogueVariant[] = []
  while (left.length > 0) {
    const best = left[0]
    const tied = left.filter((v) => ties(best, v))
    const next = tied.reduce((a, b) => (sizeOf(b) > sizeOf(a) ? b : a))
    order.push(next)
    left.splice(left.indexOf(next), 1)
  }
  return order
}

const sizeOf = (v: CatalogueVariant) => memoryOf(v) ?? v.bytes

/** Whether each accuracy lies within the other's 95 % interval. */
function ties(a: CatalogueVariant, b: CatalogueVariant): boolean {
  if (!a.top1 || !b.top1) return a.top1 === b.top1
  return within(a.top1.value, interval95(b.top1)) && within(b.top1.value, interval95(a.top1))
}

const within = (value: number, [low, high]: readonly [number, number]) => value >= low && value <= high

/** The 95 % interval of a share of `n` trials (Wilson, "Probable inference", JASA 22, 1927). */
export function interval95({ value, n }: { value: number; n: number }): readonly [low: number, high: number] {
  const z = 1.959963984540054
  const centre = (value + (z * z) / (2 * n)) / (1 + (z * z) / n)
  const half = (z / (1 + (z * z) / n)) * Math.sqrt((value * (1 - value)) / n + (z * z) / (4 * n * n))
  return [centre - half, centre + half]
}
