import { median, type Percentiles, percentiles } from './percentiles.js'
import type { MeasuringProcess } from './process.js'
import type { Profile } from './profiles.js'
import type { Answer } from './protocol.js'

export interface Latency extends Percentiles {
  /** Queries timed. */
  readonly runs: number
  readonly warmUps: number
  /** Whether the warm-up reached a steady state. */
  readonly steady: boolean
  /** Median of the last quarter of the queries over that of the first: above 1.1 the machine has slowed down. */
  readonly drift: number
}

/** Queries before a warm-up may end, and its part of the time that a profile allows. */
const WARM_UP = { queries: 10, share: 0.25 } as const
/** Turns of several models: so many forth and back at least, and as many as it takes for none to last longer. */
const TURN = { leastPairs: 3, seconds: 0.5 } as const
/** Queries that are not timed where a turn begins: the others have had the processor's caches since. */
const UNTIMED = 2

/**
 * Times loaded models in turn, each by the whole profile, so that all see the same temperature and load. Every other round
 * goes backwards: what changes steadily then weighs the same on each.
 */
export async function interleave(
  processes: readonly MeasuringProcess[],
  profile: Profile,
): Promise<readonly Latency[]> {
  const { queries, leastSeconds, seconds, warmUpSeconds } = profile
  const warm = { queries: WARM_UP.queries, leastSeconds: warmUpSeconds, seconds: WARM_UP.share * seconds }
  const warmed: Answer<'warm'>[] = []
  for (const process of processes) warmed.push(await process.warm(warm))
  const turns =
    processes.length > 1 ? 2 * Math.max(TURN.leastPairs, Math.ceil(leastSeconds / TURN.seconds / 2)) : 1
  const turn = {
    untimed: processes.length > 1 ? UNTIMED : 0,
    queries: Math.ceil(queries / turns),
    leastSeconds: leastSeconds / turns,
    seconds: seconds / turns,
  }
  const times = processes.map((): number[] => [])
  const order = [...processes.keys()]
  for (let i = 0; i < turns; i++) {
    for (const at of order) for (const ms of await processes[at].time(turn)) times[at].push(ms)
    order.reverse()
  }
  return times.map((latencies, i) => ({ ...warmed[i], ...latencyOf(latencies) }))
}

function latencyOf(latencies: readonly number[]): Omit<Latency, 'warmUps' | 'steady'> {
  const quarter = Math.ceil(latencies.length / 4)
  const drift = median(latencies.slice(-quarter)) / median(latencies.slice(0, quarter))
  return { runs: latencies.length, drift, ...percentiles(latencies) }
}
