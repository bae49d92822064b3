import * as Type from 'typebox'
import { At, Bytes, DeviceId, Digest, Label, ModelId, Ms, Nullable, Rising, Share } from './fields.js'
import { defineMessage } from './message.js'

export const ReportId = Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9._-]*$', maxLength: 63 })

/**
 * How the variant that ran when another was measured did in the same run: in turn with it, or, where there was no memory for
 * both at once, one after the other.
 */
export const Beside = Type.Object({
  variant: Digest,
  p50Ms: Ms,
  p95Ms: Nullable(Ms),
  interleaved: Type.Boolean(),
})
export type Beside = Type.Static<typeof Beside>

/**
 * What a device measured of one variant. A percentile without enough runs is null. Memory as the terms
 * define it: `measuredRamBytes` is what the model adds to `runtimeBaseBytes`; `processBytes` is the whole.
 */
export const Report = Type.Object({
  id: ReportId,
  device: DeviceId,
  model: ModelId,
  version: Rising,
  variant: Digest,
  board: Label,
  at: At,
  runs: Type.Integer({ minimum: 1, maximum: 1e9 }),
  p50Ms: Ms,
  p90Ms: Nullable(Ms),
  p95Ms: Nullable(Ms),
  p99Ms: Nullable(Ms),
  measuredRamBytes: Bytes,
  runtimeBaseBytes: Bytes,
  processBytes: Bytes,
  coldLoadMs: Ms,
  threads: Type.Integer({ minimum: 1, maximum: 4096 }),
  providerRequested: Label,
  provider: Label,
  runtime: Label,
  runtimeVersion: Label,
  throttled: Type.Boolean(),
  temperatureC: Nullable(Type.Number({ minimum: -100, maximum: 300 })),
  /** Means over the run: the fastest core's frequency, and what the whole board drew. Agents of before do not say. */
  frequencyMhz: Type.Optional(Nullable(Type.Number({ minimum: 0, maximum: 1e6 }))),
  powerW: Type.Optional(Nullable(Type.Number({ minimum: 0, maximum: 1e5 }))),
  governor: Nullable(Label),
  powerMode: Nullable(Label),
  /** What ran meanwhile; absent where nothing did. */
  incumbent: Type.Optional(Beside),
  /** Accuracy as the catalogue gave it, or null when it gave none. */
  top1: Nullable(Share),
})
export type Report = Type.Static<typeof Report>
export const report = defineMessage('report', 16 * 1024, Report)

/** `reports/{n}`: one report or several, each deduplicated by its id. */
export const Reports = Type.Object({ reports: Type.Array(Report, { minItems: 1, maxItems: 100 }) })
export type Reports = Type.Static<typeof Reports>
export const reports = defineMessage('reports', 256 * 1024, Reports)

/**
 * `reports/ack`: `stored` may leave the outbox; `refused` can never be stored (its form is wrong, or it
 * names another device) and is to be set aside, not sent again.
 */
export const ReportsAck = Type.Object({
  stored: Type.Array(ReportId, { maxItems: 100 }),
  refused: Type.Optional(
    Type.Array(Type.Object({ id: ReportId, code: Label, message: Type.String() }), { maxItems: 100 }),
  ),
})
export type ReportsAck = Type.Static<typeof ReportsAck>
export const reportsAck = defineMessage('reports ack', 256 * 1024, ReportsAck)
