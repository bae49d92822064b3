import { Command, goals, UnmetWish } from '@espalier/shared/messages/index.js'
import { Type } from '@fastify/type-provider-typebox'
import { At, Bytes, Digest, Id, Ms, Nullable, Version } from './common.js'

const Labels = Type.Record(Type.String(), Type.String())

/** What a device should maximise (default accuracy) and must respect, beside its own limits. */
export const Objective = Type.Object(
  {
    maximise: Type.Optional(Type.Enum(goals)),
    p95Ms: Type.Optional(Ms),
    memoryBytes: Type.Optional(Bytes),
    top1: Type.Optional(Type.Number({ minimum: 0, maximum: 1 })),
  },
  { additionalProperties: false },
)
export type Objective = Type.Static<typeof Objective>

const Held = Type.Object({ model: Id, version: Version, variant: Digest, name: Nullable(Type.String()) })

/** A device as the service last heard of it; null is not heard yet. */
export const Device = Type.Object({
  id: Id,
  online: Type.Boolean(),
  lastSeenAt: Nullable(At),
  board: Nullable(Type.String()),
  arch: Nullable(Type.String()),
  cores: Nullable(Type.Integer()),
  memoryBytes: Nullable(Bytes),
  memoryBudgetBytes: Nullable(Bytes),
  p95LimitMs: Nullable(Ms),
  agentVersion: Nullable(Type.String()),
  labels: Labels,
  groups: Type.Array(Id),
  state: Nullable(Type.String()),
  assigned: Nullable(
    Type.Object({ model: Id, version: Version, objective: Objective, revision: Type.Integer() }),
  ),
  active: Nullable(Held),
  previous: Nullable(Held),
  candidate: Nullable(Held),
  /** How much of the candidate is there, while it is fetched. */
  progress: Nullable(Type.Object({ doneBytes: Bytes, totalBytes: Bytes })),
  error: Nullable(Type.Object({ code: Type.String(), message: Type.String() })),
  /** What no variant satisfies there. */
  wish: Nullable(UnmetWish),
  /** Reports that it gave up for want of room, since it was set up. */
  droppedReports: Nullable(Type.Integer()),
  /** Of the latest report on the active variant. */
  p50Ms: Nullable(Ms),
  p95Ms: Nullable(Ms),
  measuredRamBytes: Nullable(Bytes),
  createdAt: At,
  /** When its credential was taken back. */
  revokedAt: Nullable(At),
})
export type Device = Type.Static<typeof Device>

export const NewDevice = Type.Object(
  { id: Id, groups: Type.Optional(Type.Array(Id, { maxItems: 64 })) },
  { additionalProperties: false },
)
export type NewDevice = Type.Static<typeof NewDevice>

/** What the agent connects with. The password is shown this once. */
export const Credential = Type.Object({
  id: Id,
  password: Type.String(),
  broker: Type.String(),
  servicePublicKey: Type.String(),
  /** PEM of the authority that vouches for the broker, where not everybody knows it. */
  ca: Type.Optional(Type.String()),
})
export type Credential = Type.Static<typeof Credential>

export const Assignment = Type.Object(
  { model: Id, version: Type.Optional(Version), objective: Type.Optional(Objective) },
  { additionalProperties: false },
)
export type Assignment = Type.Static<typeof Assignment>

export const Group = Type.Object({ id: Id, devices: Type.Array(Id) })
export type Group = Type.Static<typeof Group>

export const GroupMembers = Type.Object(
  { devices: Type.Array(Id, { maxItems: 100_000, uniqueItems: true }) },
  { additionalProperties: false },
)

export const DeviceCommand = Type.Object(
  { action: Command.properties.action },
  { additionalProperties: false },
)
export type DeviceCommand = Type.Static<typeof DeviceCommand>
