import type { TelemetryPart } from '../http/parts.js'
import type { Latency, LatencyQuery, Report, ReportQuery } from '../http/schemas/index.js'
import { afterCursor, type Database, defaultLimit, type Page, pageOf } from '../store/index.js'
import { type StoredRow, storedReport } from './store.js'

const metrics = ['p50Ms', 'p90Ms', 'p95Ms', 'p99Ms'] as const
const keys = ['device', 'board', 'model', 'variant'] as const

interface Value {
  readonly key: string
  readonly value: number
}

/** Questions about what devices measured. */
export class Telemetry implements TelemetryPart {
  constructor(private readonly db: Database) {}

  /** Newest first, by when they were stored. */
  reports({ cursor, limit = defaultLimit, latest = false, ...which }: ReportQuery): Page<Report> {
    const { sql, values } = filter(which)
    const before = afterCursor(cursor)
    // Beside max(at), rowid is that of the row which holds the max (https://sqlite.org/lang_select.html#bareagg).
    const wanted = latest
      ? `rowid IN (SELECT number FROM
           (SELECT rowid AS number, max(at) FROM reports WHERE ${sql} GROUP BY device, variant))`
      : sql
    const rows = this.db
      .prepare<unknown[], StoredRow & { number: number }>(
        `SELECT rowid AS number, report, receivedAt FROM reports
         WHERE ${wanted} AND rowid < ? ORDER BY rowid DESC LIMIT ?`,
      )
      .all(...values, before === undefined ? Number.MAX_SAFE_INTEGER : Number(before), limit + 1)
    const { items, next } = pageOf(rows, limit, ({ number }) => String(number))
    return { items: items.map(storedReport), next }
  }

  /**
   * For each device, board, model or variant: the median over its reports of each latency percentile, exactly
   * (a report gives percentiles of its own runs; those with too few runs for one are left out of it).
   */
  latency({ by = 'device', ...which }: LatencyQuery): Latency {
    const column = keys.find((key) => key === by) ?? 'device'
    const { sql, values } = filter(which)
    const counts = this.db
      .prepare<unknown[], Value>(
        `SELECT ${column} AS key, count(*) AS value FROM reports WHERE ${sql} GROUP BY key ORDER BY key`,
      )
      .all(...values)
    const [p50Ms, p90Ms, p95Ms, p99Ms] = metrics.map((metric) => this.#medians(column, metric, sql, values))
    return {
      by: column,
      items: counts.map(({ key, value }) => ({
        key,
        reports: value,
        p50Ms: p50Ms.get(key) ?? null,
        p90Ms: p90Ms.get(key) ?? null,
        p95Ms: p95Ms.get(key) ?? null,
        p99Ms: p99Ms.get(key) ?? null,
      })),
    }
  }

  #medians(
    column: (typeof keys)[number],
    metric: (typeof metrics)[number],
    where: string,
    values: unknown[],
  ): Map<string, number> {
    const rows = this.db
      .prepare<unknown[], Value>(
        `SELECT key, avg(value) AS value FROM (
           SELECT ${column} AS key, ${metric} AS value,
             row_number() OVER (PARTITION BY ${column} ORDER BY ${metric}) AS i,
             count(*) OVER (PARTITION BY ${column}) AS n
           FROM reports WHERE ${where} AND ${metric} IS NOT NULL)
         WHERE i IN ((n + 1) / 2, (n + 2) / 2) GROUP BY key`,
      )
      .all(...values)
    return new Map(rows.map(({ key, value }) => [key, value]))
  }
}

function filter(which: Omit<LatencyQuery, 'by'>): { sql: string; values: unknown[] } {
  const { from, to, ...equal } = which
  const conditions: [string, unknown][] = [
    ['at >= ?', from],
    ['at < ?', to],
    ['device = ?', equal.device],
    ['board = ?', equal.board],
    ['model = ?', equal.model],
    ['version = ?', equal.version],
    ['variant = ?', equal.variant],
  ]
  const given = conditions.filter(([, value]) => value !== undefined)
  return { sql: ['1', ...given.map(([sql]) => sql)].join(' AND '), values: given.map(([, value]) => value) }
}
