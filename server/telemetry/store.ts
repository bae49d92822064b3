import type { Report } from '@espalier/shared/messages/index.js'
import type { Events } from '../events.js'
import type { Report as StoredReport } from '../http/schemas/index.js'
import { type Database, storeError } from '../store/index.js'

const batchMs = 10
const batchRows = 500
const dayMs = 24 * 3600 * 1000
const year2020 = Date.UTC(2020)

interface Waiting {
  readonly reports: readonly Report[]
  readonly stored: () => void
  readonly failed: (thrown: unknown) => void
}

/**
 * Stores reports in batches, one transaction for what comes within 10 ms or up to 500. The same report of the
 * same device is stored once, however often it comes.
 */
export class ReportStore {
  #waiting: Waiting[] = []
  #rows = 0
  #timer: NodeJS.Timeout | undefined

  constructor(
    private readonly db: Database,
    private readonly events: Events,
    private readonly now: () => number = Date.now,
  ) {}

  /** Resolves when the reports are committed. @throws DISK_FULL and what SQLite throws: then none of them is. */
  add(reports: readonly Report[]): Promise<void> {
    return new Promise((stored, failed) => {
      this.#waiting.push({ reports, stored, failed })
      this.#rows += reports.length
      if (this.#rows >= batchRows) this.flush()
      else this.#timer ??= setTimeout(() => this.flush(), batchMs)
    })
  }

  /** Commits what waits; to be called before the database is closed. */
  flush(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const batch = this.#waiting
    this.#waiting = []
    this.#rows = 0
    let added: Report[]
    try {
      added = this.#insert(batch.flatMap(({ reports }) => reports))
    } catch (thrown) {
      for (const { failed } of batch) failed(storeError(thrown))
      return
    }
    for (const { stored } of batch) stored()
    for (const { device, id } of added) this.events.emit({ type: 'report.stored', device, report: id })
  }

  /** The latest of a device on a variant. */
  latest(device: string, variant: string): StoredReport | undefined {
    const row = this.db
      .prepare<[string, string], StoredRow>(
        'SELECT report, receivedAt FROM reports WHERE device = ? AND variant = ? ORDER BY at DESC LIMIT 1',
      )
      .get(device, variant)
    return row && storedReport(row)
  }

  /** @returns those that were not there yet. */
  #insert(reports: readonly Report[]): Report[] {
    const insert = this.db.prepare(
      `INSERT INTO reports (id, device, model, version, variant, board, at, receivedAt, p50Ms, p90Ms, p95Ms, p99Ms,
                            measuredRamBytes, throttled, report)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
    )
    const receivedAt = this.now()
    return this.db.transaction(() =>
      reports.filter((r) => {
        const at = r.at >= year2020 && r.at <= receivedAt + dayMs ? r.at : receivedAt
        const { changes } = insert.run(
          ...[r.id, r.device, r.model, r.version, r.variant, r.board, at, receivedAt],
          ...[r.p50Ms, r.p90Ms, r.p95Ms, r.p99Ms, r.measuredRamBytes, r.throttled ? 1 : 0],
          JSON.stringify({ ...r, at }),
        )
        return changes > 0
      }),
    )()
  }
}

export interface StoredRow {
  readonly report: string
  readonly receivedAt: number
}

export const storedReport = ({ report, receivedAt }: StoredRow): StoredReport => ({
  ...(JSON.parse(report) as Report),
  receivedAt,
})
