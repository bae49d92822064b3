import { type ErrorCode, formatBytes } from '@espalier/shared'
import type { CatalogueVariant } from '@espalier/shared/messages/index.js'

/** What a model may take on this device: bytes of memory as the terms define it, and ms at the 95th percentile. */
export interface Limits {
  readonly memoryBytes: number
  readonly p95Ms: number | null
}

/** What the benchmark said of a variant on this device: figures, or why there are none. */
export type Outcome =
  | { readonly measuredRamBytes: number; readonly p50Ms: number; readonly p95Ms: number | null }
  | { readonly failure: Failure }

export interface Failure {
  readonly code: ErrorCode
  readonly message: string
}

/** What is known when a variant is to be chosen. */
export interface Situation {
  readonly variants: readonly CatalogueVariant[]
  readonly limits: Limits
  readonly outcomes: ReadonlyMap<string, Outcome>
  /** Digests that must not run, or cannot be tried now. */
  readonly excluded: ReadonlySet<string>
  readonly pinned?: string
}

export type Choice =
  /** Known on this device to keep the limits, and the best of those. */
  | { readonly kind: 'use'; readonly variant: CatalogueVariant }
  /** More promising than all that are known: to be measured. */
  | { readonly kind: 'try'; readonly variant: CatalogueVariant }
  | { readonly kind: 'none'; readonly failure: Failure }

/**
 * The next step towards the most accurate variant within the limits. Candidates come in order of promise and
 * each is measured before the next is looked at, so that the first to keep the limits ends the search: few downloads.
 */
export function choose({ variants, limits, outcomes, excluded, pinned }: Situation): Choice {
  const candidates = variants.filter((v) => !excluded.has(v.digest) && (!pinned || v.digest === pinned))
  let reason: Failure | null = null
  for (const variant of ranked(candidates)) {
    const outcome = outcomes.get(variant.digest)
    const failure = outcome ? verdict(outcome, limits) : tooLargeByPrediction(variant, limits)
    if (!failure) return { kind: outcome ? 'use' : 'try', variant }
    reason = { code: failure.code, message: `${variant.name}: ${failure.message}` }
  }
  const because = reason?.message ?? (variants.length > 0 ? 'none may be used now' : 'the catalogue is empty')
  return {
    kind: 'none',
    failure: { code: 'NO_VARIANT_FITS', message: `no variant keeps this device's limits; ${because}` },
  }
}

/** Why a measured variant may not be used here; null if it may. */
export function verdict(outcome: Outcome, limits: Limits): Failure | null {
  if ('failure' in outcome) return outcome.failure
  const { measuredRamBytes, p95Ms, p50Ms } = outcome
  if (measuredRamBytes > limits.memoryBytes) return overMemory('measured', measuredRamBytes, limits)
  // Too slow for enough queries to give a 95th percentile: then the median alone can still convict it.
  const latency = p95Ms ?? p50Ms
  if (limits.p95Ms !== null && latency > limits.p95Ms) {
    return {
      code: 'LATENCY_OVER_LIMIT',
      message: `measured ${latency.toFixed(2)} ms at the ${p95Ms === null ? 'median' : '95th percentile'}, the limit is ${limits.p95Ms} ms`,
    }
  }
  return null
}

function tooLargeByPrediction(variant: CatalogueVariant, limits: Limits): Failure | null {
  const expected = variant.measuredRamBytes ?? variant.predictedRamBytes
  return expected !== null && expected > limits.memoryBytes ? overMemory('expected', expected, limits) : null
}

const overMemory = (how: string, bytes: number, limits: Limits): Failure => ({
  code: 'MEMORY_OVER_BUDGET',
  message: `${how} ${formatBytes(bytes)} of memory, the budget is ${formatBytes(limits.memoryBytes)} (${bytes} over ${limits.memoryBytes} B)`,
})

/**
 * Variants by promise: the most accurate first, where those that tie with it go by size, larger first. Without
 * a known accuracy a variant comes after all that have one, larger first.
 */
export function ranked(variants: readonly CatalogueVariant[]): CatalogueVariant[] {
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

const sizeOf = (v: CatalogueVariant) => v.measuredRamBytes ?? v.predictedRamBytes ?? v.bytes

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
