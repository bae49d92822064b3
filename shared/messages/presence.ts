import * as Type from 'typebox'
import { Label, Rising } from './fields.js'
import { defineMessage } from './message.js'

/**
 * `presence`, retained, birth and will. `epoch` rises with every connection (the agent keeps it on disk):
 * a will may overtake the birth of the next connection, so one of a lower epoch says nothing.
 */
export const Presence = Type.Object({
  online: Type.Boolean(),
  epoch: Rising,
  agentVersion: Type.Optional(Label),
})
export type Presence = Type.Static<typeof Presence>
export const presence = defineMessage('presence', 1024, Presence)

/**
 * How a service sends blocks. `paced`: at the pace of each device's own connection, so that a device asks for all it
 * lacks at once. `broadcasts`: a block for many goes once, on the artifact's topic. One that does not say does neither.
 */
export const BlockService = Type.Object({ paced: Type.Boolean(), broadcasts: Type.Boolean() })
export type BlockService = Type.Static<typeof BlockService>

/** `service/presence`, retained, birth and will: agents hold their requests while the service is away. */
export const ServicePresence = Type.Object({
  online: Type.Boolean(),
  epoch: Rising,
  blocks: Type.Optional(BlockService),
})
export type ServicePresence = Type.Static<typeof ServicePresence>
export const servicePresence = defineMessage('service presence', 1024, ServicePresence)
