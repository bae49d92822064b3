import { Report as Measured } from '@espalier/shared/messages/index.js'
import { Type } from '@fastify/type-provider-typebox'
import { At, Count, Digest, Id, Ms, Nullable, PageQuery, Version } from './common.js'

/** What a device measured of one variant, and when it was stored. */
export const Report = Type.Object({ ...Measured.properties, receivedAt: At })
export type Report = Type.Static<typeof Report>

/** Which reports: every part that is given must match; `from` ≤ at < `to`. */
const Which = {
  device: Type.Optional(Id),
  board: Type.Optional(Type.String({ maxLength: 200 })),
  model: Type.Optional(Id),
  version: Type.Optional(Version),
  variant: Type.Optional(Digest),
  from: Type.Optional(At),
  to: Type.Optional(At),
}

/** Newest first. */
export const ReportQuery = Type.Object({
  ...PageQuery.properties,
  ...Which,
  /** Only what each device measured last of each variant. */
  latest: Type.Optional(Type.Boolean()),
})
export type ReportQuery = Type.Static<typeof ReportQuery>

export const LatencyQuery = Type.Object({
  ...Which,
  by: Type.Optional(
    Type.Union([
      Type.Literal('device'),
      Type.Literal('board'),
      Type.Literal('model'),
      Type.Literal('variant'),
    ]),
  ),
})
export type LatencyQuery = Type.Static<typeof LatencyQuery>

/** Latency percentiles over the reports of one device, board, model or variant (`key`). */
export const Latency = Type.Object({
  by: Type.String(),
  items: Type.Array(
    Type.Object({
      key: Type.String(),
      reports: Count,
      p50Ms: Nullable(Ms),
      p90Ms: Nullable(Ms),
      p95Ms: Nullable(Ms),
      p99Ms: Nullable(Ms),
    }),
  ),
})
export type Latency = Type.Static<typeof Latency>
