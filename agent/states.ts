import type { AgentState } from '@espalier/shared/messages/index.js'

interface StateRule {
  readonly next: readonly AgentState[]
  /** A state that has lasted this long fails with DEADLINE_PASSED; waiting for the service is not counted. */
  readonly deadlineMs: number | null
}

const minutes = 60_000
const settled: readonly AgentState[] = [
  'idle',
  'fetching',
  'verified',
  'benchmarking',
  'armed',
  'active',
  'failed',
]

/** The states of a candidate's way, as data: where each may go, and how long it may last. */
export const states: Readonly<Record<AgentState, StateRule>> = {
  idle: { next: settled, deadlineMs: null },
  fetching: { next: ['verified', 'failed', 'idle', 'active'], deadlineMs: 60 * minutes },
  verified: { next: ['fetching', 'benchmarking', 'armed', 'failed', 'idle', 'active'], deadlineMs: minutes },
  benchmarking: {
    // To the next one, where speed has to be compared.
    next: ['fetching', 'verified', 'armed', 'rejected', 'failed', 'idle', 'active'],
    deadlineMs: 20 * minutes,
  },
  armed: { next: ['probation', 'failed'], deadlineMs: minutes },
  probation: { next: ['active', 'rolled-back', 'failed'], deadlineMs: 10 * minutes },
  active: { next: settled, deadlineMs: null },
  rejected: { next: settled, deadlineMs: null },
  failed: { next: settled, deadlineMs: null },
  'rolled-back': { next: settled, deadlineMs: null },
}
