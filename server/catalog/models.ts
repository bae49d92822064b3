import type { Readable } from 'node:stream'
import { EspalierError } from '@espalier/shared'
import { type Limits, runChild } from '../child/index.js'
import type { Events } from '../events.js'
import type { Model, ModelFacts, ModelVersion, NewModel, PageQuery } from '../http/schemas/index.js'
import { afterCursor, type Database, defaultLimit, type Page, pageOf } from '../store/index.js'
import type { ArtifactStore } from './artifacts.js'
import { Drawings } from './drawings.js'

interface VersionRow extends Omit<ModelVersion, 'facts'> {
  facts: string
}

const modelColumns = `id, name, createdAt, (SELECT max(version) FROM modelVersions WHERE model = models.id) AS latest`

/** Models and their versions. A version is accepted only after a child process has read it whole. */
export class Models {
  readonly #drawings: Drawings

  constructor(
    private readonly db: Database,
    private readonly artifacts: ArtifactStore,
    private readonly events: Events,
    private readonly limits: { uploadBytes: number; reading: Limits },
    private readonly now: () => number = Date.now,
  ) {
    this.#drawings = new Drawings(artifacts)
  }

  list({ cursor, limit = defaultLimit }: PageQuery): Page<Model> {
    const rows = this.db
      .prepare<[string, number], Model>(`SELECT ${modelColumns} FROM models WHERE id > ? ORDER BY id LIMIT ?`)
      .all(afterCursor(cursor) ?? '', limit + 1)
    return pageOf(rows, limit, (m) => m.id)
  }

  /** @throws MODEL_UNKNOWN */
  get(id: string): Model {
    const model = this.db.prepare<[string], Model>(`SELECT ${modelColumns} FROM models WHERE id = ?`).get(id)
    if (!model) throw new EspalierError('MODEL_UNKNOWN', `there is no model '${id}'; see espalier models ls`)
    return model
  }

  /** @throws MODEL_EXISTS */
  create({ id, name = id }: NewModel): Model {
    const { changes } = this.db
      .prepare('INSERT INTO models (id, name, createdAt) VALUES (?, ?, ?) ON CONFLICT DO NOTHING')
      .run(id, name, this.now())
    if (changes === 0) {
      throw new EspalierError(
        'MODEL_EXISTS',
        `a model '${id}' exists; add a version to it, or choose another id`,
      )
    }
    this.events.emit({ type: 'model.changed', model: id })
    return this.get(id)
  }

  /** Newest first. @throws MODEL_UNKNOWN */
  versions(model: string, { cursor, limit = defaultLimit }: PageQuery): Page<ModelVersion> {
    this.get(model)
    const before = Number(afterCursor(cursor) ?? Number.MAX_SAFE_INTEGER)
    const rows = this.db
      .prepare<[string, number, number], VersionRow>(
        'SELECT * FROM modelVersions WHERE model = ? AND version < ? ORDER BY version DESC LIMIT ?',
      )
      .all(model, before, limit + 1)
    return pageOf(rows.map(fromRow), limit, (v) => String(v.version))
  }

  /** The version given, or the newest. @throws MODEL_UNKNOWN, VERSION_UNKNOWN */
  version(model: string, version?: number): ModelVersion {
    const wanted = version ?? this.get(model).latest
    const row = this.db
      .prepare<[string, number | null], VersionRow>(
        'SELECT * FROM modelVersions WHERE model = ? AND version = ?',
      )
      .get(model, wanted)
    if (row) return fromRow(row)
    this.get(model)
    throw new EspalierError(
      'VERSION_UNKNOWN',
      wanted === null
        ? `model '${model}' has no version yet; upload one: espalier models create ${model} FILE.onnx`
        : `model '${model}' has no version ${wanted}`,
    )
  }

  /**
   * Stores an ONNX file as the model's next version.
   * @throws MODEL_UNKNOWN, UPLOAD_TOO_LARGE, UPLOAD_INCOMPLETE, DISK_FULL, and what reading it throws (NOT_ONNX,
   * MODEL_INVALID, MODEL_UNSUPPORTED …): nothing is stored then.
   */
  async addVersion(model: string, source: Readable): Promise<ModelVersion> {
    this.get(model)
    const staged = await this.artifacts.receive(source, this.limits.uploadBytes)
    try {
      const facts = (await runChild(
        new URL('./read-model.js', import.meta.url),
        { path: staged.path },
        this.limits.reading,
      )) as ModelFacts
      const { drawing, undrawn } = await this.#drawings.draw({ title: model, before: staged.path })
      await staged.keep()
      const { version } = this.db
        .prepare<unknown[], { version: number }>(
          `INSERT INTO modelVersions (model, version, digest, fileBytes, facts, drawing, undrawn, createdAt)
           SELECT ?, 1 + coalesce(max(version), 0), ?, ?, ?, ?, ?, ? FROM modelVersions WHERE model = ? RETURNING version`,
        )
        .get(
          model,
          staged.digest,
          staged.bytes,
          JSON.stringify(facts),
          drawing,
          undrawn,
          this.now(),
          model,
        ) as {
        version: number
      }
      this.events.emit({ type: 'model.changed', model })
      return this.version(model, version)
    } finally {
      await staged.discard()
    }
  }
}

const fromRow = (row: VersionRow): ModelVersion => ({ ...row, facts: JSON.parse(row.facts) as ModelFacts })
