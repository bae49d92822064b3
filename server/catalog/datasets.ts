import type { Readable } from 'node:stream'
import { EspalierError } from '@espalier/shared'
import { type Limits, runChild } from '../child/index.js'
import type { DataFacts } from '../compiler/data/index.js'
import type { Dataset, NewDataset, PageQuery } from '../http/schemas/index.js'
import { afterCursor, type Database, defaultLimit, type Page, pageOf } from '../store/index.js'
import type { ArtifactStore } from './artifacts.js'

type Row = Omit<Dataset, keyof DataFacts> & { facts: string }

/**
 * Data to train, calibrate and evaluate with: a spec of files on this disk, or an uploaded npz file. A child process
 * has read it before it is accepted.
 */
export class Datasets {
  constructor(
    private readonly db: Database,
    private readonly artifacts: ArtifactStore,
    private readonly limits: { uploadBytes: number; reading: Limits },
    private readonly now: () => number = Date.now,
  ) {}

  list({ cursor, limit = defaultLimit }: PageQuery): Page<Dataset> {
    const rows = this.db
      .prepare<[string, number], Row>('SELECT * FROM datasets WHERE id > ? ORDER BY id LIMIT ?')
      .all(afterCursor(cursor) ?? '', limit + 1)
    return pageOf(rows.map(fromRow), limit, (d) => d.id)
  }

  /** @throws DATASET_UNKNOWN */
  get(id: string): Dataset {
    const row = this.db.prepare<[string], Row>('SELECT * FROM datasets WHERE id = ?').get(id)
    if (row) return fromRow(row)
    throw new EspalierError('DATASET_UNKNOWN', `there is no dataset '${id}'; see espalier datasets ls`)
  }

  /** @throws DATASET_EXISTS, and what reading it throws (DATA_SPEC_INVALID, FILE_NOT_FOUND, DATA_INVALID …) */
  async create({ id, name = id, spec }: NewDataset): Promise<Dataset> {
    this.#refuseKnown(id)
    return this.#insert(
      { id, name, spec, digest: null, fileBytes: null, createdAt: this.now() },
      await this.#read(spec),
    )
  }

  /**
   * Stores an uploaded npz file (arrays `x` and perhaps `y`).
   * @throws DATASET_EXISTS, DATA_INVALID …, UPLOAD_TOO_LARGE, UPLOAD_INCOMPLETE, DISK_FULL; nothing is stored then.
   */
  async upload({ id, name = id }: { id: string; name?: string }, source: Readable): Promise<Dataset> {
    this.#refuseKnown(id)
    const staged = await this.artifacts.receive(source, this.limits.uploadBytes)
    try {
      const facts = await this.#read(`npz:${staged.path}`)
      await staged.keep()
      const { digest, bytes: fileBytes } = staged
      const spec = `npz:${this.artifacts.path(digest)}`
      return this.#insert({ id, name, spec, digest, fileBytes, createdAt: this.now() }, facts)
    } finally {
      await staged.discard()
    }
  }

  async #read(spec: string): Promise<DataFacts> {
    const module = new URL('./read-dataset.js', import.meta.url)
    return (await runChild(module, { spec }, this.limits.reading)) as DataFacts
  }

  #insert(row: Omit<Row, 'facts'>, facts: DataFacts): Dataset {
    this.#refuseKnown(row.id)
    this.db
      .prepare('INSERT INTO datasets VALUES (@id, @name, @spec, @digest, @fileBytes, @facts, @createdAt)')
      .run({ ...row, facts: JSON.stringify(facts) })
    return this.get(row.id)
  }

  #refuseKnown(id: string): void {
    if (this.db.prepare('SELECT 1 FROM datasets WHERE id = ?').get(id)) {
      throw new EspalierError('DATASET_EXISTS', `a dataset '${id}' exists; choose another id`)
    }
  }
}

const fromRow = ({ facts, ...row }: Row): Dataset => ({
  ...row,
  ...(JSON.parse(facts) as Pick<Dataset, keyof DataFacts>),
})
