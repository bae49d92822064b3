import type { Span } from './protocol.js'

/** How long a model is timed, and for how long at least it is warmed up before. */
export interface Profile extends Span {
  readonly warmUpSeconds: number
}

/**
 * `brief` has queries enough for p95 and is over as soon as it has them; `quick` lasts for five seconds, too, and `standard`
 * for a minute, so that a machine that slows down when it is hot has the time to; `standard` has queries enough for p99.
 */
export const profiles = {
  brief: { queries: 130, leastSeconds: 0, seconds: 5, warmUpSeconds: 0 },
  quick: { queries: 130, leastSeconds: 5, seconds: 60, warmUpSeconds: 2 },
  standard: { queries: 662, leastSeconds: 60, seconds: 300, warmUpSeconds: 2 },
} as const satisfies Record<string, Profile>
