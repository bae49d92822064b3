import { OperatorTimes } from '@espalier/shared/measure/index.js'
import { Type } from '@fastify/type-provider-typebox'
import { At, Bytes, Count, Id, Ms, Nullable, Share, Version } from './common.js'

const asked = {
  model: Id,
  /** The newest version where none is given. */
  version: Type.Optional(Version),
  memoryBytes: Type.Optional(Type.Array(Bytes, { minItems: 1, maxItems: 32 })),
  macs: Type.Optional(Type.Array(Share, { minItems: 1, maxItems: 32 })),
  params: Type.Optional(Type.Array(Share, { minItems: 1, maxItems: 32 })),
  artifactBytes: Type.Optional(Type.Array(Bytes, { minItems: 1, maxItems: 32 })),
  /** Of the median query on the machine of the profile. */
  latencyMs: Type.Optional(
    Type.Array(Type.Number({ exclusiveMinimum: 0, maximum: 1e9 }), { minItems: 1, maxItems: 32 }),
  ),
  /** Ids of datasets. The first trains and calibrates, the second only measures. */
  data: Id,
  eval: Type.Optional(Id),
  criterion: Type.Optional(Type.String({ maxLength: 40 })),
  epochs: Type.Optional(Type.Integer({ minimum: 0, maximum: 10_000 })),
  /** The method as `espalier fit --recipe` takes it: {"schedule": "one-shot" | "gradual" | "iterative", …}. */
  recipe: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
  seed: Type.Optional(Count),
  /** The kind of board that memory budgets are meant for: what such boards reported corrects them. */
  board: Type.Optional(Type.String({ maxLength: 200 })),
}

/** What to compile: one variant for each value of the limit that has most; each variant meets all limits. */
export const NewCompilation = Type.Object(
  {
    ...asked,
    /** Operator times of the machine that latency is meant for; measured where it is compiled if not given. */
    profile: Type.Optional(OperatorTimes),
  },
  { additionalProperties: false },
)
export type NewCompilation = Type.Static<typeof NewCompilation>

/** What was asked; of a profile, the machine that it is of. */
export const CompilationRequest = Type.Object({ ...asked, profile: Type.Optional(Type.String()) })
export type CompilationRequest = Type.Static<typeof CompilationRequest>

export const compilationStates = ['queued', 'running', 'done', 'failed', 'cancelled', 'interrupted'] as const
export type CompilationState = (typeof compilationStates)[number]

export const CompilationProgress = Type.Object({
  stage: Type.String(),
  done: Type.Number(),
  total: Type.Number(),
  message: Type.Optional(Type.String()),
  variant: Type.Optional(Type.String()),
  /** While training: mean loss, and share of training samples answered rightly, since the last progress. */
  loss: Type.Optional(Type.Number()),
  accuracy: Type.Optional(Nullable(Share)),
})
export type CompilationProgress = Type.Static<typeof CompilationProgress>

export const Compilation = Type.Object({
  id: Id,
  model: Id,
  version: Version,
  request: CompilationRequest,
  state: Type.Enum(compilationStates),
  progress: Nullable(CompilationProgress),
  error: Nullable(Type.Object({ code: Type.String(), message: Type.String() })),
  /** Ids of the variants it made. */
  variants: Type.Array(Id),
  /** The dense network given the same recipe, data and seed, and no teacher but the labels: the reference for the variants' accuracy. */
  dense: Nullable(
    Type.Object({
      top1: Nullable(Share),
      macs: Nullable(Count),
      params: Nullable(Count),
      measuredRamBytes: Nullable(Bytes),
      p50Ms: Nullable(Ms),
    }),
  ),
  createdAt: At,
  startedAt: Nullable(At),
  endedAt: Nullable(At),
})
export type Compilation = Type.Static<typeof Compilation>

/** One stage of the work, on one variant or on all. It ended when the next began. */
export const CompilationStage = Type.Object({
  ...CompilationProgress.properties,
  startedAt: At,
  /** How training went, thinned to a curve's few points. */
  training: Type.Array(Type.Object({ done: Type.Number(), loss: Type.Number(), accuracy: Nullable(Share) })),
})
export type CompilationStage = Type.Static<typeof CompilationStage>

/** What a budget of memory would leave, as expected: shares of the dense network. */
export const FrontierPoint = Type.Object({
  memoryBytes: Bytes,
  saliency: Type.Number(),
  macs: Share,
  params: Share,
})

export const CompilationDetail = Type.Object({
  ...Compilation.properties,
  stages: Type.Array(CompilationStage),
  /** From the floor to the dense network, least first; null until it is done. */
  frontier: Nullable(Type.Array(FrontierPoint)),
})
export type CompilationDetail = Type.Static<typeof CompilationDetail>
