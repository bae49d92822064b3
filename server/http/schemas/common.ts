import { Digest, Nullable } from '@espalier/shared/messages/index.js'
import { Type } from '@fastify/type-provider-typebox'

/** Sizes are bytes, durations ms, points in time ms since 1970, shares from 0 to 1. `Id` is part of MQTT topics too. */
export {
  At,
  Bytes,
  Count,
  Digest,
  ModelId as Id,
  Ms,
  Nullable,
  Rising as Version,
  Share,
} from '@espalier/shared/messages/index.js'

export const Name = Type.String({ minLength: 1, maxLength: 200 })

/** The digest of a stored picture, or why there is none; both null for what was stored before pictures were. */
export const Drawn = Type.Object({ drawing: Nullable(Digest), undrawn: Nullable(Type.String()) })

/** An RFC 9457 problem; `code` is stable, `detail` says what was wrong and what to do. */
export const Problem = Type.Object({
  type: Type.String(),
  title: Type.String(),
  status: Type.Integer(),
  code: Type.String(),
  detail: Type.String(),
  errors: Type.Optional(Type.Array(Type.Object({ path: Type.String(), message: Type.String() }))),
})
export type Problem = Type.Static<typeof Problem>

/** How a list is read: at most `limit` entries after the one that `cursor` (an earlier answer's `next`) names. */
export const PageQuery = Type.Object({
  cursor: Type.Optional(Type.String({ maxLength: 400 })),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 500, default: 50 })),
})
export type PageQuery = Type.Static<typeof PageQuery>

export const PageOf = <S extends Type.TSchema>(item: S) =>
  Type.Object({ items: Type.Array(item), next: Nullable(Type.String()) })
