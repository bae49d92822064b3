import { Type } from '@fastify/type-provider-typebox'
import { At, Bytes, Count, Digest, Drawn, Id, Name, Nullable, Version } from './common.js'

/** A network's input or output; a named dynamic dimension is its name, an unknown one null. */
const Port = Type.Object({
  name: Type.String(),
  dtype: Type.String(),
  dims: Nullable(Type.Array(Type.Union([Type.Integer(), Type.String(), Type.Null()]))),
})

export const ModelFacts = Type.Object({
  params: Count,
  nodes: Count,
  opset: Type.Integer(),
  inputs: Type.Array(Port),
  outputs: Type.Array(Port),
  ops: Type.Record(Type.String(), Count),
})
export type ModelFacts = Type.Static<typeof ModelFacts>

export const ModelVersion = Type.Object({
  model: Id,
  version: Version,
  digest: Digest,
  fileBytes: Bytes,
  facts: ModelFacts,
  ...Drawn.properties,
  createdAt: At,
})
export type ModelVersion = Type.Static<typeof ModelVersion>

export const Model = Type.Object({
  id: Id,
  name: Name,
  /** Number of the newest version; null before the first upload. */
  latest: Nullable(Version),
  createdAt: At,
})
export type Model = Type.Static<typeof Model>

export const NewModel = Type.Object({ id: Id, name: Type.Optional(Name) }, { additionalProperties: false })
export type NewModel = Type.Static<typeof NewModel>
