import * as Type from 'typebox'
import { Bytes, Label, Ms, Nullable } from './fields.js'
import { defineMessage } from './message.js'

/** `facts`, retained: what the device is. `memoryBudgetBytes` is what the agent allows a model. */
export const Facts = Type.Object({
  board: Label,
  soc: Nullable(Label),
  arch: Label,
  cpu: Label,
  cores: Type.Integer({ minimum: 1, maximum: 4096 }),
  memoryBytes: Bytes,
  memoryLimitBytes: Nullable(Bytes),
  memoryBudgetBytes: Bytes,
  p95LimitMs: Nullable(Ms),
  kernel: Label,
  os: Label,
  powerMode: Nullable(Label),
  executionProviders: Type.Array(Label, { maxItems: 32 }),
  runtime: Label,
  runtimeVersion: Label,
  agentVersion: Label,
  labels: Type.Record(Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$' }), Label, {
    maxProperties: 64,
    additionalProperties: false,
  }),
})
export type Facts = Type.Static<typeof Facts>
export const facts = defineMessage('facts', 64 * 1024, Facts)
