import { Type } from '@fastify/type-provider-typebox'
import { At, Bytes, Count, Digest, Id, Name, Nullable } from './common.js'

export const Dataset = Type.Object({
  id: Id,
  name: Name,
  /** Where the compiler reads it: `idx:…`, `npz:…` or `images:…` on the service's disk. */
  spec: Type.String(),
  /** Of an uploaded file; null where the spec names files that were there. */
  digest: Nullable(Digest),
  fileBytes: Nullable(Bytes),
  count: Count,
  /** Of one sample; null for images, which take the size that a network wants. */
  dims: Nullable(Type.Array(Count)),
  /** Number of classes; null for unlabelled data. */
  classes: Nullable(Count),
  createdAt: At,
})
export type Dataset = Type.Static<typeof Dataset>

export const NewDataset = Type.Object(
  {
    id: Id,
    name: Type.Optional(Name),
    spec: Type.String({ minLength: 1, maxLength: 4000 }),
  },
  { additionalProperties: false },
)
export type NewDataset = Type.Static<typeof NewDataset>
