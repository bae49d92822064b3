import type { FrontierPoint } from '../compiler/frontier.js'
import type {
  Compilation,
  CompilationDetail,
  CompilationProgress,
  CompilationRequest,
  CompilationStage,
  CompilationState,
  NewCompilation,
} from '../http/schemas/index.js'
import type { Database } from '../store/index.js'
import type { JobResult } from './job.js'

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

interface Details {
  readonly stages: string
  readonly frontier: string | null
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
    const { stages, frontier } = this.db
      .prepare<[string], Pick<Details, 'stages' | 'frontier'>>(
        'SELECT stages, frontier FROM compilations WHERE id = ?',
      )
      .get(id) ?? { stages: '[]', frontier: null }
    return {
      ...found,
      stages: JSON.parse(stages) as CompilationStage[],
      frontier: frontier === null ? null : (JSON.parse(frontier) as FrontierPoint[]),
    }
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

  /** @param request its profile is kept beside it, and only named in what is read again */
  add(id: string, version: number, { profile, ...request }: NewCompilation, at: number): void {
    const asked: CompilationRequest = profile ? { ...request, profile: profile.machine } : request
    this.db
      .prepare(
        "INSERT INTO compilations (id, model, version, request, profile, state, createdAt) VALUES (?, ?, ?, ?, ?, 'queued', ?)",
      )
      .run(id, request.model, version, JSON.stringify(asked), profile ? JSON.stringify(profile) : null, at)
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
      frontier,
    }: { error?: { code: string; message: string } } & Partial<
      Pick<JobResult, 'dense' | 'report' | 'frontier'>
    > = {},
  ): void {
    this.db
      .prepare(
        'UPDATE compilations SET state = ?, endedAt = ?, error = ?, dense = ?, report = ?, frontier = ? WHERE id = ?',
      )
      .run(
        state,
        at,
        error ? JSON.stringify(error) : null,
        dense ? JSON.stringify(dense) : null,
        report ?? null,
        frontier ? JSON.stringify(frontier) : null,
        id,
      )
  }

  report(id: string): string | null {
    return this.db.prepare('SELECT report FROM compilations WHERE id = ?').pluck().get(id) as string | null
  }

  /** The operator times that came with the request, as JSON. */
  profile(id: string): string | null {
    return this.db.prepare('SELECT profile FROM compilations WHERE id = ?').pluck().get(id) as string | null
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
