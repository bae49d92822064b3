import { type ErrorCode, formatBytes } from '@espalier/shared'
import type { Setup } from '@espalier/shared/measure/index.js'
import type { CatalogueVariant, Goal } from '@espalier/shared/messages/index.js'
import { byPromise, memoryOf } from './ranking.js'

/** What a model may take on this device and must reach: bytes of memory as the terms define it, ms, a share. */
export interface Limits {
  readonly memoryBytes: number
  readonly p95Ms: number | null
  /** The least accuracy. */
  readonly top1: number | null
}

/** What the benchmark said of a variant on this device: figures, or why there are none. */
export type Outcome = Figures | { readonly failure: Failure }

export interface Figures {
  readonly measuredRamBytes: number
  readonly p50Ms: number
  readonly p95Ms: number | null
  /** How it was run. */
  readonly setup?: Setup
  /** What ran then, and its median in the same run. */
  readonly beside?: { readonly digest: string; readonly p50Ms: number }
  /** It was active and broke a limit: it comes back only if it keeps limits by a margin. */
  readonly heldBack?: HeldBack
}

export interface HeldBack {
  /** When, ms since 1970, and how long it rests before it is measured again. */
  readonly at: number
  readonly pauseMs: number
  /** How hot the machine was, °C. */
  readonly temperatureC: number | null
}

export interface Failure {
  readonly code: ErrorCode
  readonly message: string
}

/** What is known when a variant is to be chosen. */
export interface Situation {
  readonly variants: readonly CatalogueVariant[]
  readonly goal: Goal
  readonly limits: Limits
  readonly outcomes: ReadonlyMap<string, Outcome>
  /** Digests that must not run, or cannot be tried now. */
  readonly excluded: ReadonlySet<string>
  readonly pinned?: string
  /** What runs now. */
  readonly active?: string | null
}

export type Choice =
  /** Known on this device to keep the limits, and the best of those. */
  | { readonly kind: 'use'; readonly variant: CatalogueVariant }
  /** More promising than all that are known: to be measured. */
  | { readonly kind: 'try'; readonly variant: CatalogueVariant }
  | { readonly kind: 'none'; readonly failure: Failure }

/** How much faster than the active variant another has to be, and by how much a limit is to be kept by what broke it. */
const clearly = { faster: 0.9, within: 0.95 }

/**
 * The next step towards the variant that serves the goal best within the limits. Candidates come in order of promise and
 * each is measured before the next is looked at. For accuracy and smallness the first to keep the limits ends the search;
 * for speed, which only measuring tells, the search goes on to the neighbours of the fastest until they are slower. Few downloads, either way.
 */
export function choose(situation: Situation): Choice {
  const { variants, goal, limits, outcomes, excluded, pinned } = situation
  const candidates = variants.filter((v) => !excluded.has(v.digest) && (!pinned || v.digest === pinned))
  const fitting: CatalogueVariant[] = []
  let reason: Failure | null = null
  for (const variant of byPromise[goal](candidates)) {
    const outcome = outcomes.get(variant.digest)
    const failure =
      (pinned ? null : tooInaccurate(variant, limits)) ??
      (outcome ? verdict(outcome, limits) : tooLargeByPrediction(variant, limits))
    if (!failure) fitting.push(variant)
    else reason = { code: failure.code, message: `${variant.name}: ${failure.message}` }
  }
  if (fitting.length > 0) return goal === 'speed' ? fastest(fitting, situation) : next(fitting[0], outcomes)
  const because = reason?.message ?? (variants.length > 0 ? 'none may be used now' : 'the catalogue is empty')
  return {
    kind: 'none',
    failure: { code: 'NO_VARIANT_FITS', message: `no variant keeps this device's limits; ${because}` },
  }
}

const next = (variant: CatalogueVariant, outcomes: Situation['outcomes']): Choice => ({
  kind: outcomes.has(variant.digest) ? 'use' : 'try',
  variant,
})

/** Measures from the most promising on, and beside the fastest so far; what runs stays unless another is clearly faster. */
function fastest(fitting: readonly CatalogueVariant[], { outcomes, active }: Situation): Choice {
  const ms = ({ digest }: CatalogueVariant) => comparable(digest, outcomes, active ?? null)
  const best = fitting.reduce((a, b) => (ms(b) < ms(a) ? b : a))
  const at = fitting.indexOf(best)
  const open = [fitting[0], fitting[at - 1], fitting[at + 1]].find((v) => v && !outcomes.has(v.digest))
  if (open) return { kind: 'try', variant: open }
  const now = fitting.find(({ digest }) => digest === active)
  return { kind: 'use', variant: now && ms(best) > clearly.faster * ms(now) ? now : best }
}

/**
 * A variant's median as it would have been when the active one was measured: by the ratio in the run that measured both,
 * if there was one, since between two runs a machine may grow hot.
 */
function comparable(digest: string, outcomes: Situation['outcomes'], active: string | null): number {
  const figures = (of: string | null) => {
    const outcome = of === null ? undefined : outcomes.get(of)
    return outcome && 'p50Ms' in outcome ? outcome : null
  }
  const [own, its] = [figures(digest), figures(active)]
  if (!own) return Number.POSITIVE_INFINITY
  if (its && own.beside?.digest === active) return (its.p50Ms * own.p50Ms) / own.beside.p50Ms
  if (its?.beside?.digest === digest) return its.beside.p50Ms
  return own.p50Ms
}

/** Why a measured variant may not be used here; null if it may. */
export function verdict(outcome: Outcome, limits: Limits): Failure | null {
  if ('failure' in outcome) return outcome.failure
  const { measuredRamBytes, p95Ms, p50Ms, heldBack } = outcome
  const share = heldBack ? clearly.within : 1
  if (measuredRamBytes > share * limits.memoryBytes)
    return overMemory('measured', measuredRamBytes, limits, share)
  // Too slow for enough queries to give a 95th percentile: then the median alone can still convict it.
  const latency = p95Ms ?? p50Ms
  if (limits.p95Ms !== null && latency > share * limits.p95Ms) {
    return {
      code: 'LATENCY_OVER_LIMIT',
      message: `measured ${latency.toFixed(2)} ms at the ${p95Ms === null ? 'median' : '95th percentile'}, the limit is ${limits.p95Ms} ms${orLess(share)}`,
    }
  }
  return null
}

function tooLargeByPrediction(variant: CatalogueVariant, limits: Limits): Failure | null {
  const expected = memoryOf(variant)
  return expected !== null && expected > limits.memoryBytes ? overMemory('expected', expected, limits) : null
}

function tooInaccurate({ top1 }: CatalogueVariant, limits: Limits): Failure | null {
  if (limits.top1 === null || (top1 && top1.value >= limits.top1)) return null
  const is = top1 ? `${percent(top1.value)} accurate` : 'of unknown accuracy'
  return {
    code: 'ACCURACY_UNDER_FLOOR',
    message: `${is}, where at least ${percent(limits.top1)} is asked for`,
  }
}

const percent = (share: number) => `${(100 * share).toFixed(2)} %`

const overMemory = (how: string, bytes: number, limits: Limits, share = 1): Failure => ({
  code: 'MEMORY_OVER_BUDGET',
  message: `${how} ${formatBytes(bytes)} of memory, the budget is ${formatBytes(limits.memoryBytes)} (${bytes} over ${limits.memoryBytes} B)${orLess(share)}`,
})

const orLess = (share: number) =>
  share === 1 ? '' : `; as it broke a limit before, it has to stay ${((1 - share) * 100).toFixed(0)} % below`
