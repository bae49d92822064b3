import * as Type from 'typebox'
import { defineSigned } from '../signing.js'
import { At, DeviceId, Failure, Nullable, Rising } from './fields.js'
import { defineMessage } from './message.js'

/** `commands/{n}`, signed, bound to the device and a rising number, which is also the topic's last level. */
export const Command = Type.Object({
  type: Type.Literal('command'),
  device: DeviceId,
  n: Rising,
  issuedAt: At,
  expiresAt: At,
  /** Measure the active variant again, choose again among all of the catalogue, or send the newest lines of the log. */
  action: Type.Enum(['benchmark', 'select', 'logs']),
})
export type Command = Type.Static<typeof Command>
export const command = defineSigned('command', 16 * 1024, Command, 'n')

/** `commands/{n}/ack` */
export const CommandAck = Type.Object({
  n: Rising,
  done: Type.Boolean(),
  error: Nullable(Failure),
})
export type CommandAck = Type.Static<typeof CommandAck>
export const commandAck = defineMessage('command ack', 16 * 1024, CommandAck)
