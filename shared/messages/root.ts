import * as Type from 'typebox'
import { defineSigned } from '../signing.js'
import { At, Nullable, PublicKey, Rising } from './fields.js'
import { defineMessage } from './message.js'

/**
 * Which keys devices trust, after the root role of The Update Framework (specification, §4.3 and §5.3): `root` may say so anew,
 * `documents` sign everything else, each until then at most. A version is signed by a root key of the one before and by one
 * of its own. Once the newest has expired nothing new is believed until a newer one comes; what has no `expiresAt` is of before
 * roots had one.
 */
export const Root = Type.Object({
  type: Type.Literal('root'),
  version: Rising,
  issuedAt: At,
  expiresAt: Type.Optional(At),
  root: Type.Array(PublicKey, { minItems: 1, maxItems: 4 }),
  documents: Type.Array(Type.Object({ key: PublicKey, until: Nullable(At) }), { minItems: 1, maxItems: 8 }),
})
export type Root = Type.Static<typeof Root>
export const root = defineSigned('root', 16 * 1024, Root, 'version')

/** `keys`, retained: every version of the root from the first, so that a device may have missed any of them. */
export const Roots = Type.Object({ roots: Type.Array(Type.Unknown(), { minItems: 1, maxItems: 256 }) })
export type Roots = Type.Static<typeof Roots>
export const roots = defineMessage('keys', 512 * 1024, Roots)
