import { Type } from '@fastify/type-provider-typebox'
import { Bytes, Count, Digest, Id, Nullable, Version } from './common.js'

/** A kind of board, and how memory measured where variants are compiled becomes what such boards report. */
export const Board = Type.Object({
  board: Type.String(),
  /** The newest runtime that such boards reported; older ones' reports are left out. */
  runtimeVersion: Nullable(Type.String()),
  devices: Count,
  reports: Count,
  /** Variants that were reported and are known here. */
  variants: Count,
  /** On the board: scale · bytes + offsetBytes. */
  correction: Type.Object({ scale: Type.Number(), offsetBytes: Type.Number() }),
  /** False while there are too few reports: then the correction changes nothing. */
  corrected: Type.Boolean(),
  /** Medians over the variants, as shares of what was reported. */
  medianError: Type.Object({ uncorrected: Nullable(Type.Number()), corrected: Nullable(Type.Number()) }),
})
export type Board = Type.Static<typeof Board>

/** Memory of a variant where it was compiled, and on a kind of board: expected, and reported if it ran there. */
export const BoardMemory = Type.Object({
  variant: Id,
  name: Type.String(),
  model: Id,
  version: Version,
  digest: Digest,
  predictedRamBytes: Nullable(Bytes),
  measuredRamBytes: Nullable(Bytes),
  expectedRamBytes: Nullable(Bytes),
  reportedRamBytes: Nullable(Bytes),
  reports: Count,
})
export type BoardMemory = Type.Static<typeof BoardMemory>

export const BoardMemoryQuery = Type.Object({
  model: Type.Optional(Id),
  version: Type.Optional(Version),
})
export type BoardMemoryQuery = Type.Static<typeof BoardMemoryQuery>
