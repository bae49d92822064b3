import { setImmediate } from 'node:timers/promises'
import type { Report } from '@espalier/shared/messages/index.js'
import type { Events } from '../events.js'
import type { Report as StoredReport } from '../http/schemas/index.js'
import { type Database, storeError } from '../store/index.js'

const batchMs = 10
const forgottenAtOnce = 5000
const batchRows = 500
/** Of one device; so much that one that reports every few minutes keeps its year. */
const keptOfDevice = 50_000
const dayMs = 24 * 3600 * 1000
const year2020 = Date.UTC(2020)

interface Waiting {
  readonly reports: readonly Report[]
  readonly stored: () => void
  readonly failed: (thrown: unknown) => void
}

/**
 * Stores reports in batches, one transaction for what comes within 10 ms or up to 500. The same report of the
 * same device is stored once, however often it comes. A device's oldest give way beyond a bound, so that one that reports
 * without end fills no disk.
 */
export class ReportStore {
  #waiting: Waiting[] = []
  #rows = 0
  #timer: NodeJS.Timeout | undefined
  /** How many of each device were stored since somebody looked whether they are too many. */
  readonly #unlooked = new Map<string, number>()

  constructor(
    private readonly db: Database,
    private readonly events: Events,
    private readonly now: () => number = Date.now,
    private readonly most = keptOfDevice,
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

  /** Counts what a device added; every so often its oldest beyond the bound go. */
  #bound(device: string): void {
    const added = (this.#unlooked.get(device) ?? 0) + 1
    const isDue = added >= Math.ceil(this.most / 50)
    this.#unlooked.set(device, isDue ? 0 : added)
    if (!isDue) return
    this.db
      .prepare(
        `DELETE FROM reports WHERE device = @device AND rowid <=
           (SELECT rowid FROM reports WHERE device = @device ORDER BY rowid DESC LIMIT 1 OFFSET @most)`,
      )
      .run({ device, most: this.most })
  }

  /**
   * Removes what was stored before `time`, ms since 1970, a few thousand at a time so that what comes meanwhile is
   * stored in between. A report that a device sends again after that is stored as new. @returns how many went
   */
  async forget(time: number): Promise<number> {
    // By rowid, in the order in which they were stored.
    const oldest = this.db.prepare<[], { rowid: number; receivedAt: number }>(
      `SELECT rowid, receivedAt FROM reports ORDER BY rowid LIMIT ${forgottenAtOnce}`,
    )
    const remove = this.db.prepare<[number]>('DELETE FROM reports WHERE rowid <= ?')
    for (let gone = 0; ; await setImmediate()) {
      const old = oldest.all()
      const kept = old.findIndex(({ receivedAt }) => receivedAt >= time)
      const last = kept < 0 ? old.at(-1) : old[kept - 1]
      if (last) gone += remove.run(last.rowid).changes
      if (kept >= 0 || old.length < forgottenAtOnce) return gone
    }
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
    return this.db.transaction(() => {
      const added = reports.filter((r) => {
        const at = r.at >= year2020 && r.at <= receivedAt + dayMs ? r.at : receivedAt
        const { changes } = insert.run(
          ...[r.id, r.device, r.model, r.version, r.variant, r.board, at, receivedAt],
          ...[r.p50Ms, r.p90Ms, r.p95Ms, r.p99Ms, r.measuredRamBytes, r.throttled ? 1 : 0],
          JSON.stringify({ ...r, at }),
        )
        return changes > 0
      })
      for (const { device } of added) this.#bound(device)
      return added
    })()
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
