import type {
  Compilation,
  CompilationDetail,
  CompilationProgress,
  CompilationStage,
  CompilationState,
  NewCompilation,
} from '../http/schemas/index.js'
import type { Database } from '../store/index.js'
import type { DenseFigures } from './job.js'

interface Row {
  readonly id: string
  readonly model: string
  readonly version: number
  readonly request: string
  readonly state: CompilationState
  readonly progress: string | null
  readonly error: string | null
  readonly dense: string | null
  readonly createdAt: number
  readonly startedAt: number | null
  readonly endedAt: number | null
}

const columns = 'id, model, version, request, state, progress, error, dense, createdAt, startedAt, endedAt'

/** The table of compilations: what waits, what runs, what came of it. It survives the process. */
export class Queue {
  constructor(private readonly db: Database) {}

  find(id: string): Compilation | undefined {
    const row = this.db.prepare<[string], Row>(`SELECT ${columns} FROM compilations WHERE id = ?`).get(id)
    return row && this.#read(row)
  }

  /** With the stages it went through. */
  detail(id: string): CompilationDetail | undefined {
    const found = this.find(id)
    if (!found) return
    const stages = this.db.prepare('SELECT stages FROM compilations WHERE id = ?').pluck().get(id) as string
    return { ...found, stages: JSON.parse(stages) as CompilationStage[] }
  }

  /** Newest first, those before `before`, at most `limit`. */
  list({ model, before, limit }: { model?: string; before?: string; limit: number }): Compilation[] {
    return this.db
      .prepare<[string, string | null, string | null, number], Row>(
        `SELECT ${columns} FROM compilations WHERE id < ? AND (? IS NULL OR model = ?) ORDER BY id DESC LIMIT ?`,
      )
      .all(before ?? '~', model ?? null, model ?? null, limit)
      .map((row) => this.#read(row))
  }

  add(id: string, version: number, request: NewCompilation, at: number): void {
    this.db
      .prepare(
        "INSERT INTO compilations (id, model, version, request, state, createdAt) VALUES (?, ?, ?, ?, 'queued', ?)",
      )
      .run(id, request.model, version, JSON.stringify(request), at)
  }

  /** Takes the oldest that waits and marks it running. */
  next(at: number): Compilation | undefined {
    const row = this.db
      .prepare<[number], { id: string }>(
        `UPDATE compilations SET state = 'running', startedAt = ?, progress = NULL
         WHERE id = (SELECT min(id) FROM compilations WHERE state = 'queued') RETURNING id`,
      )
      .get(at)
    return row && this.find(row.id)
  }

  note(id: string, progress: CompilationProgress, stages: readonly CompilationStage[]): void {
    this.db
      .prepare('UPDATE compilations SET progress = ?, stages = ? WHERE id = ?')
      .run(JSON.stringify(progress), JSON.stringify(stages), id)
  }

  requeue(id: string): void {
    this.db
      .prepare(
        "UPDATE compilations SET state = 'queued', error = NULL, progress = NULL, stages = '[]', startedAt = NULL, endedAt = NULL WHERE id = ?",
      )
      .run(id)
  }

  end(
    id: string,
    state: CompilationState,
    at: number,
    {
      error,
      dense,
      report,
    }: { error?: { code: string; message: string }; dense?: DenseFigures; report?: string } = {},
  ): void {
    this.db
      .prepare(
        'UPDATE compilations SET state = ?, endedAt = ?, error = ?, dense = ?, report = ? WHERE id = ?',
      )
      .run(
        state,
        at,
        error ? JSON.stringify(error) : null,
        dense ? JSON.stringify(dense) : null,
        report ?? null,
        id,
      )
  }

  report(id: string): string | null {
    return this.db.prepare('SELECT report FROM compilations WHERE id = ?').pluck().get(id) as string | null
  }

  /** Ids of those a process that is gone was running. */
  running(): string[] {
    return this.db.prepare("SELECT id FROM compilations WHERE state = 'running'").pluck().all() as string[]
  }

  #read(row: Row): Compilation {
    const variants = this.db
      .prepare('SELECT id FROM variants WHERE compilation = ? ORDER BY id')
      .pluck()
      .all(row.id)
    return {
      ...row,
      request: JSON.parse(row.request),
      progress: row.progress && JSON.parse(row.progress),
      error: row.error && JSON.parse(row.error),
      dense: row.dense && JSON.parse(row.dense),
      variants: variants as string[],
    }
  }
}
