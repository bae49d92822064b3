/**
 * What the agent is doing about a candidate, as data. `next` are the states it may go to; a state with a
 * deadline fails with DEADLINE_PASSED when it has lasted that long (waiting for the service is not counted).
 */
export const states = {
  idle: { next: ['fetching', 'verified', 'active', 'failed'], deadlineMs: null },
  fetching: { next: ['verified', 'failed', 'idle'], deadlineMs: 60 * 60_000 },
  verified: { next: ['benchmarking', 'armed', 'failed', 'idle'], deadlineMs: 60_000 },
  benchmarking: { next: ['armed', 'rejected', 'failed', 'idle'], deadlineMs: 15 * 60_000 },
  armed: { next: ['active', 'failed', 'idle'], deadlineMs: 60_000 },
  active: { next: ['idle', 'fetching', 'verified', 'armed', 'failed'], deadlineMs: null },
  rejected: { next: ['idle', 'fetching', 'verified', 'armed', 'active', 'failed'], deadlineMs: null },
  failed: { next: ['idle', 'fetching', 'verified', 'armed', 'active'], deadlineMs: null },
} as const satisfies Record<string, { next: readonly string[]; deadlineMs: number | null }>

export type State = keyof typeof states
