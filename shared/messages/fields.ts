import * as Type from 'typebox'

/** What several messages have in common. Sizes are bytes, durations ms, points in time ms since 1970. */

const name = '^[A-Za-z0-9][A-Za-z0-9._-]*$'

export const DeviceId = Type.String({ pattern: name, maxLength: 63 })
export const ModelId = Type.String({ pattern: name, maxLength: 63 })
/** SHA-256 in lowercase hexadecimal. */
export const Digest = Type.String({ pattern: '^[0-9a-f]{64}$' })
/** The public half of an Ed25519 key: its 32 bytes in base64url. */
export const PublicKey = Type.String({ pattern: '^[A-Za-z0-9_-]{43}$' })
export const Label = Type.String({ maxLength: 200 })
export const Count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
export const Rising = Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER })
export const Bytes = Count
export const Ms = Type.Number({ minimum: 0, maximum: 1e15 })
export const At = Type.Integer({ minimum: 0, maximum: 8.64e15 })
export const Share = Type.Number({ minimum: 0, maximum: 1 })

export const Nullable = <S extends Type.TSchema>(schema: S) => Type.Union([schema, Type.Null()])

/** Why something failed, by a stable code. */
export const Failure = Type.Object({
  code: Type.String({ pattern: '^[A-Z][A-Z0-9_]*$', maxLength: 63 }),
  message: Type.String({ maxLength: 2000 }),
})
