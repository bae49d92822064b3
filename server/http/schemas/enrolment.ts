import { Type } from '@fastify/type-provider-typebox'
import { At, Id, Nullable } from './common.js'

export const NewEnrolmentToken = Type.Object(
  {
    /** A group that whoever enrols by it joins. */
    group: Type.Optional(Id),
    /** The id of the one device that may enrol by it: new, or one whose hardware is replaced. */
    device: Type.Optional(Id),
    /** How many devices may enrol by it; 1 by default. */
    uses: Type.Optional(Type.Integer({ minimum: 1, maximum: 100_000 })),
    /** How long, in ms; a day by default, a year at most. */
    lifeMs: Type.Optional(Type.Integer({ minimum: 1000, maximum: 366 * 24 * 3600 * 1000 })),
  },
  { additionalProperties: false },
)
export type NewEnrolmentToken = Type.Static<typeof NewEnrolmentToken>

export const EnrolmentToken = Type.Object({
  id: Id,
  group: Nullable(Id),
  device: Nullable(Id),
  uses: Type.Integer(),
  used: Type.Integer(),
  state: Type.Union([
    Type.Literal('open'),
    Type.Literal('used'),
    Type.Literal('expired'),
    Type.Literal('revoked'),
  ]),
  createdAt: At,
  expiresAt: At,
  revokedAt: Nullable(At),
})
export type EnrolmentToken = Type.Static<typeof EnrolmentToken>

/** A token as it is created: with the code to hand to devices, which is shown this once. */
export const CreatedToken = Type.Intersect([EnrolmentToken, Type.Object({ code: Type.String() })])
export type CreatedToken = Type.Static<typeof CreatedToken>
