import * as Type from 'typebox'
import { Objective } from './desired.js'
import { At, Bytes, Digest, Label, ModelId, Ms, Nullable, Rising, Share } from './fields.js'
import { defineMessage } from './message.js'

/** What a variant would have to keep for this device, as none does, and what the nearest one takes there. */
export const UnmetWish = Type.Object({
  model: ModelId,
  version: Rising,
  maximise: Objective.properties.maximise,
  /** The most memory it may add, and the most ms that 95 of 100 queries may take. */
  memoryBytes: Bytes,
  p95Ms: Nullable(Ms),
  /** The least accuracy. */
  top1: Nullable(Share),
  /** Measured on the device, or what the catalogue says where it was not; null: the catalogue is empty. */
  nearest: Nullable(
    Type.Object({
      variant: Digest,
      name: Label,
      measured: Type.Boolean(),
      memoryBytes: Nullable(Bytes),
      p95Ms: Nullable(Ms),
      top1: Nullable(Share),
    }),
  ),
  since: At,
})
export type UnmetWish = Type.Static<typeof UnmetWish>

/** `wish`: no variant satisfies the device; or null, once one does. Said at the start of every session as well. */
export const Wish = Type.Object({ wish: Nullable(UnmetWish) })
export type Wish = Type.Static<typeof Wish>
export const wish = defineMessage('wish', 16 * 1024, Wish)
