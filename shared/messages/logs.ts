import * as Type from 'typebox'
import { At, Rising } from './fields.js'
import { defineMessage } from './message.js'

/** The most bytes of its log that a device sends. */
export const maxLogBytes = 64 * 1024

/** `logs`: the newest lines of the agent's log, as the command numbered `n` asked for. */
export const Logs = Type.Object({
  n: Rising,
  at: At,
  text: Type.String({ maxLength: maxLogBytes }),
})
export type Logs = Type.Static<typeof Logs>
// JSON spells a control character in six bytes.
export const logs = defineMessage('logs', 6 * maxLogBytes + 1024, Logs)
