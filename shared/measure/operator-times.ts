import * as Type from 'typebox'
import { defineMessage } from '../messages/message.js'

const Count = Type.Integer({ minimum: 0 })
const Ms = Type.Number({ minimum: 0 })
const Text = Type.String({ maxLength: 2000 })

/** How long one operator takes at one set of sizes, alone in a session, less what any query takes. */
const OperatorTime = Type.Object({
  op: Text,
  /** Attributes that matter to its time, as text. */
  kind: Text,
  /** Sizes of all inputs and of the first output, in order, one list each. */
  dims: Type.Array(Type.Array(Count, { maxItems: 16 }), { maxItems: 64 }),
  ms: Ms,
})

/** Operator times that were measured on one machine with one runtime: what `espalier profile` writes. */
export const OperatorTimes = Type.Object({
  espalierProfile: Type.Literal(1),
  machine: Text,
  runtime: Text,
  runtimeVersion: Text,
  threads: Type.Integer({ minimum: 1 }),
  /** What a query takes that computes nothing. */
  queryMs: Ms,
  /** What a whole network takes over the sum of its operators alone: inside one, some are fused. */
  scale: Type.Number({ exclusiveMinimum: 0 }),
  operators: Type.Array(OperatorTime, { maxItems: 100_000 }),
})
export type OperatorTimes = Type.Static<typeof OperatorTimes>
export type OperatorTime = Type.Static<typeof OperatorTime>
export const operatorTimes = defineMessage('profile', 64 * 2 ** 20, OperatorTimes)
