import * as Type from 'typebox'
import { defineSigned } from '../signing.js'
import { At, Bytes, DeviceId, Digest, ModelId, Ms, Rising, Share } from './fields.js'

/** What a device can choose by: the most accurate, the fastest, or what takes the least memory. */
export const goals = ['accuracy', 'speed', 'smallness'] as const
export type Goal = (typeof goals)[number]

/** What a device maximises, and what it must respect: its own limits and these, whichever is tighter. */
export const Objective = Type.Object({
  maximise: Type.Enum(goals),
  p95Ms: Type.Optional(Ms),
  memoryBytes: Type.Optional(Bytes),
  /** The least accuracy. */
  top1: Type.Optional(Share),
})
export type Objective = Type.Static<typeof Objective>

/**
 * `desired`, retained, signed, bound to the device and a rising revision. The device uses the catalogue of
 * this model version whose sequence is `catalogueSequence` or higher. `pinned` leaves no choice;
 * `withdrawn` must not run any more.
 */
export const Desired = Type.Object({
  type: Type.Literal('desired'),
  device: DeviceId,
  revision: Rising,
  issuedAt: At,
  expiresAt: At,
  model: ModelId,
  version: Rising,
  catalogueSequence: Rising,
  objective: Objective,
  pinned: Type.Optional(Digest),
  withdrawn: Type.Optional(Type.Array(Digest, { maxItems: 256 })),
})
export type Desired = Type.Static<typeof Desired>
export const desired = defineSigned('desired', 64 * 1024, Desired, 'revision')
