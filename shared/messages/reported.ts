import * as Type from 'typebox'
import { At, Bytes, Count, Digest, Failure, ModelId, Nullable, Rising } from './fields.js'
import { defineMessage } from './message.js'

export const agentStates = [
  'idle',
  'fetching',
  'verified',
  'benchmarking',
  'armed',
  'probation',
  'active',
  'rejected',
  'failed',
  'rolled-back',
] as const
export type AgentState = (typeof agentStates)[number]

const Held = Type.Object({ model: ModelId, version: Rising, variant: Digest })

/** `reported`, retained: what the device runs and does. `revision` is 0 before the first desired was accepted. */
export const Reported = Type.Object({
  revision: Count,
  state: Type.Enum(agentStates),
  active: Nullable(Held),
  previous: Nullable(Held),
  candidate: Nullable(Held),
  progress: Type.Optional(Nullable(Type.Object({ doneBytes: Bytes, totalBytes: Bytes }))),
  error: Nullable(Failure),
  /** Reports that the device gave up for want of room, since it was set up. */
  droppedReports: Type.Optional(Count),
  at: At,
})
export type Reported = Type.Static<typeof Reported>
export const reported = defineMessage('reported', 16 * 1024, Reported)
