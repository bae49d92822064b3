import type { Facts, Goal } from '@espalier/shared/messages/index.js'
import type { Clock } from './clock.js'
import type { Credential } from './credential.js'
import type { BenchmarkSettings } from './measure/benchmark.js'
import type { Endpoint } from './serve/endpoint.js'
import type { OutboxLimits } from './store/outbox.js'

/** How patient the agent is, ms; the defaults suit real networks. */
export interface Timings {
  /** First and longest pause between attempts to reach the broker. */
  readonly reconnectMs?: readonly [first: number, longest: number]
  /** First and longest pause before a variant that failed is tried again. */
  readonly retryMs?: readonly [first: number, longest: number]
  /** Silence after which blocks under way count as lost. */
  readonly blockPatienceMs?: number
  /** Silence after which a report is sent again. */
  readonly reportPatienceMs?: number
  /** How often the active variant is measured again; 0 for never. */
  readonly everyMs?: number
  readonly keepaliveSeconds?: number
}

export interface AgentOptions {
  readonly credential: Credential
  readonly stateDir: string
  readonly facts: Facts
  readonly clock: Clock
  readonly benchmark: BenchmarkSettings
  /** What the device chooses by where its assignment does not say other than by accuracy (default). */
  readonly goal?: Goal
  /** The least accuracy, a share. */
  readonly leastTop1?: number | null
  readonly timings?: Timings
  readonly outbox?: Partial<OutboxLimits>
  /** Where the active variant answers inference requests, if anywhere; it is the caller's to close. */
  readonly endpoint?: Endpoint
  /** The operator's program that is told of each new active variant. */
  readonly hook?: string
  readonly log: (line: string) => void
}
