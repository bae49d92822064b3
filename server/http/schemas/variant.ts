import { Golden, Port, Preprocess } from '@espalier/shared/messages/index.js'
import { Type } from '@fastify/type-provider-typebox'
import { resources } from '../../compiler/limits.js'
import { At, Bytes, Count, Digest, Drawn, Id, Ms, Nullable, Share, Version } from './common.js'

/** What was predicted and measured of a variant where it was compiled; null is not known. */
export const VariantFigures = Type.Object({
  memoryBudgetBytes: Nullable(Bytes),
  /** The limit that left the least room; null where the dense model met all of them, or where it is not known. */
  bound: Type.Optional(Nullable(Type.Enum(resources))),
  macs: Nullable(Count),
  params: Nullable(Count),
  fileBytes: Bytes,
  artifactBytes: Bytes,
  predictedRamBytes: Nullable(Bytes),
  measuredRamBytes: Nullable(Bytes),
  /** Accuracy on the evaluation data, and on how many of its examples. */
  top1: Nullable(Share),
  n: Nullable(Count),
  /** Share of examples on which variant and dense model choose the same class. */
  agreement: Nullable(Share),
  p50Ms: Nullable(Ms),
  /** Median query on the machine of the profile, as expected by it. */
  expectedMs: Type.Optional(Nullable(Ms)),
  recipe: Nullable(Type.String()),
})
export type VariantFigures = Type.Static<typeof VariantFigures>

/** How an application talks to the network. */
export const VariantPorts = Type.Object({
  inputs: Type.Array(Port),
  outputs: Type.Array(Port),
  preprocess: Nullable(Preprocess),
  labels: Nullable(Type.Array(Type.String())),
  golden: Type.Optional(Golden),
})
export type VariantPorts = Type.Static<typeof VariantPorts>

export const Variant = Type.Object({
  id: Id,
  name: Type.String(),
  model: Id,
  version: Version,
  compilation: Nullable(Id),
  digest: Digest,
  ...VariantFigures.properties,
  ...VariantPorts.properties,
  ...Drawn.properties,
  createdAt: At,
  withdrawnAt: Nullable(At),
  /** Since when no catalogue that devices follow and no device refers to it; it goes some time after. */
  unusedSince: Nullable(At),
})
export type Variant = Type.Static<typeof Variant>
