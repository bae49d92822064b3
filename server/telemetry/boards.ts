import { EspalierError } from '@espalier/shared'
import type { Correction } from '../compiler/limits.js'
import type { BoardsPart } from '../http/parts.js'
import type { Board, BoardMemory } from '../http/schemas/index.js'
import type { Database } from '../store/index.js'
import { correctionFrom, identity, onBoard } from './correction.js'

/** Boards of one kind and, of each, reports that are looked at; the newest first. */
const DEVICES = 200
const REPORTS = 100
/** Fewer reports than that correct nothing. */
const ENOUGH = 3

interface Reported {
  readonly device: string
  readonly variant: string
  readonly measured: number
  readonly runtimeVersion: string
}

interface Variant {
  readonly id: string
  readonly name: string
  readonly model: string
  readonly version: number
  readonly digest: string
  readonly predicted: number | null
  readonly measured: number | null
}

/** What boards of each kind report of memory, and what that says of variants that they have not run. */
export class Boards implements BoardsPart {
  constructor(private readonly db: Database) {}

  /** Every kind of board that a device named, with its correction. */
  list(): Board[] {
    const rows = this.db
      .prepare<[], { board: string }>(
        `SELECT DISTINCT json_extract(facts, '$.board') AS board FROM devices
         WHERE facts IS NOT NULL ORDER BY board LIMIT 500`,
      )
      .all()
    return rows.map(({ board }) => this.get(board))
  }

  /** @throws BOARD_UNKNOWN */
  get(board: string): Board {
    return this.#read(board).board
  }

  /** What a budget on such a board is where variants are compiled. @throws BOARD_UNKNOWN */
  correction(board: string): Correction {
    return this.get(board).correction
  }

  /** What is expected of every offered variant on such a board, and what was reported. @throws BOARD_UNKNOWN */
  memory(board: string, which: { model?: string; version?: number } = {}): BoardMemory[] {
    const { board: known, reported } = this.#read(board)
    return this.#variants(which).map((v) => {
      const here = v.measured ?? v.predicted
      const there = reported.get(v.digest)
      return {
        variant: v.id,
        name: v.name,
        model: v.model,
        version: v.version,
        digest: v.digest,
        predictedRamBytes: v.predicted,
        measuredRamBytes: v.measured,
        expectedRamBytes: here === null ? null : Math.round(onBoard(known.correction, here)),
        reportedRamBytes: there === undefined ? null : Math.round(there.bytes),
        reports: there?.reports ?? 0,
      }
    })
  }

  #read(board: string) {
    const reports = this.#reports(board)
    const runtimeVersion = reports[0]?.runtimeVersion ?? null
    const current = reports.filter((r) => r.runtimeVersion === runtimeVersion)
    const reported = byVariant(current)
    const here = new Map(
      this.#compiled([...reported.keys()]).map((v) => [v.digest, v.measured ?? v.predicted]),
    )
    const pairs = [...reported].flatMap(([digest, { bytes }]) => {
      const known = here.get(digest)
      return known == null ? [] : [{ here: known, there: bytes }]
    })
    const enough = current.length >= ENOUGH && pairs.length > 0
    const correction = enough ? correctionFrom(pairs) : identity
    const error = (c: Correction) =>
      pairs.length === 0 ? null : median(pairs.map((p) => Math.abs(onBoard(c, p.here) / p.there - 1)))
    return {
      reported,
      board: {
        board,
        runtimeVersion,
        devices: new Set(current.map((r) => r.device)).size,
        reports: current.length,
        variants: pairs.length,
        correction: { scale: correction.scale, offsetBytes: Math.round(correction.offsetBytes) },
        corrected: enough,
        medianError: { uncorrected: error(identity), corrected: error(correction) },
      },
    }
  }

  /** Of the devices that are such a board, newest first. Found by device, so that no table is read from end to end. */
  #reports(board: string): Reported[] {
    const devices = this.db
      .prepare<[string, number], { id: string }>(
        `SELECT id FROM devices WHERE json_extract(facts, '$.board') = ? ORDER BY lastSeenAt DESC LIMIT ?`,
      )
      .all(board, DEVICES)
    if (devices.length === 0)
      throw new EspalierError('BOARD_UNKNOWN', `no device says that it is a '${board}'; see GET /v1/boards`)
    const newest = this.db.prepare<[string, string, number], Reported & { at: number }>(
      `SELECT at, device, variant, measuredRamBytes AS measured, json_extract(report, '$.runtimeVersion') AS runtimeVersion
       FROM reports WHERE device = ? AND board = ? ORDER BY at DESC LIMIT ?`,
    )
    return devices
      .flatMap(({ id }) => newest.all(id, board, REPORTS))
      .filter((r) => r.measured > 0)
      .sort((a, b) => b.at - a.at)
  }

  #variants({ model, version }: { model?: string; version?: number }): Variant[] {
    return this.db
      .prepare<unknown[], Variant>(
        `${select} WHERE withdrawnAt IS NULL AND (@model IS NULL OR model = @model) AND (@version IS NULL OR version = @version)
         ORDER BY id DESC LIMIT 500`,
      )
      .all({ model: model ?? null, version: version ?? null })
  }

  #compiled(digests: readonly string[]): Variant[] {
    return this.db
      .prepare<[string], Variant>(`${select} WHERE digest IN (SELECT value FROM json_each(?)) ORDER BY id`)
      .all(JSON.stringify(digests))
  }
}

const select = `SELECT id, name, model, version, digest, json_extract(figures, '$.predictedRamBytes') AS predicted,
  json_extract(figures, '$.measuredRamBytes') AS measured FROM variants`

/** For each variant the median of its devices' medians, so that neither a slip nor a talkative device decides. */
function byVariant(reports: readonly Reported[]): Map<string, { bytes: number; reports: number }> {
  const all = new Map<string, Map<string, number[]>>()
  for (const { variant, device, measured } of reports) {
    const devices = all.get(variant) ?? new Map<string, number[]>()
    all.set(variant, devices)
    devices.set(device, [...(devices.get(device) ?? []), measured])
  }
  return new Map(
    [...all].map(([variant, devices]) => [
      variant,
      {
        bytes: median([...devices.values()].map(median)),
        reports: [...devices.values()].reduce((n, list) => n + list.length, 0),
      },
    ]),
  )
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}
