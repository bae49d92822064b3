import * as Type from 'typebox'
import { defineSigned } from '../signing.js'
import { At, Bytes, Count, Digest, Label, ModelId, Nullable, Rising, Share } from './fields.js'

/** A graph input or output; a named dynamic dimension is its name. */
export const Port = Type.Object({
  name: Label,
  dtype: Label,
  shape: Type.Array(Type.Union([Count, Label]), { maxItems: 16 }),
})
export type Port = Type.Static<typeof Port>

/** `y = (x · scale − mean) / std`, by channel. */
export const Preprocess = Type.Object({
  scale: Type.Number(),
  mean: Type.Array(Type.Number(), { maxItems: 4096 }),
  std: Type.Array(Type.Number(), { maxItems: 4096 }),
  layout: Label,
})
export type Preprocess = Type.Static<typeof Preprocess>

/**
 * What the network answers to the fixed pattern that it is measured with: of each output of real numbers its shape, up to
 * 64 evenly spaced values, and its largest magnitude.
 */
export const Golden = Type.Array(
  Type.Object({
    name: Label,
    dims: Type.Array(Count, { maxItems: 16 }),
    values: Type.Array(Type.Number(), { maxItems: 64 }),
    scale: Type.Number({ minimum: 0 }),
  }),
  { maxItems: 16 },
)
export type Golden = Type.Static<typeof Golden>

/** One variant: `blocks` has the SHA-256 of every `blockBytes` of the artifact, the last one shorter. */
export const CatalogueVariant = Type.Object({
  name: Label,
  digest: Digest,
  bytes: Rising,
  blockBytes: Type.Integer({ minimum: 4096, maximum: 128 * 1024 }),
  blocks: Type.Array(Digest, { minItems: 1, maxItems: 65536 }),
  memoryBudgetBytes: Nullable(Bytes),
  predictedRamBytes: Nullable(Bytes),
  measuredRamBytes: Nullable(Bytes),
  macs: Nullable(Count),
  params: Nullable(Count),
  /** Accuracy and on how many examples, from which its 95 % interval follows. */
  top1: Nullable(Type.Object({ value: Share, n: Rising })),
  inputs: Type.Array(Port, { maxItems: 64 }),
  outputs: Type.Array(Port, { maxItems: 64 }),
  preprocess: Nullable(Preprocess),
  labels: Nullable(Type.Array(Label, { maxItems: 20000 })),
  golden: Type.Optional(Golden),
})
export type CatalogueVariant = Type.Static<typeof CatalogueVariant>

/** `catalogue`, retained, signed, bound to model and version and a rising sequence. */
export const Catalogue = Type.Object({
  type: Type.Literal('catalogue'),
  model: ModelId,
  version: Rising,
  sequence: Rising,
  issuedAt: At,
  expiresAt: At,
  variants: Type.Array(CatalogueVariant, { maxItems: 256 }),
})
export type Catalogue = Type.Static<typeof Catalogue>
export const catalogue = defineSigned('catalogue', 8 * 1024 * 1024, Catalogue, 'sequence')
