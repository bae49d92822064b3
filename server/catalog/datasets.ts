import type { Readable } from 'node:stream'
import { EspalierError } from '@espalier/shared'
import type { Dataset, NewDataset, PageQuery } from '../http/schemas/index.js'
import { afterCursor, type Database, defaultLimit, type Page, pageOf } from '../store/index.js'
import type { ArtifactStore } from './artifacts.js'

/** Data to train, calibrate and evaluate with: a spec of files on this disk, or an uploaded npz file. */
export class Datasets {
  constructor(
    private readonly db: Database,
    private readonly artifacts: ArtifactStore,
    private readonly limits: { uploadBytes: number },
    private readonly now: () => number = Date.now,
  ) {}

  list({ cursor, limit = defaultLimit }: PageQuery): Page<Dataset> {
    const rows = this.db
      .prepare<[string, number], Dataset>('SELECT * FROM datasets WHERE id > ? ORDER BY id LIMIT ?')
      .all(afterCursor(cursor) ?? '', limit + 1)
    return pageOf(rows, limit, (d) => d.id)
  }

  /** @throws DATASET_UNKNOWN */
  get(id: string): Dataset {
    const dataset = this.db.prepare<[string], Dataset>('SELECT * FROM datasets WHERE id = ?').get(id)
    if (!dataset)
      throw new EspalierError('DATASET_UNKNOWN', `there is no dataset '${id}'; see espalier datasets ls`)
    return dataset
  }

  /** @throws DATASET_EXISTS */
  create({ id, name = id, spec }: NewDataset): Dataset {
    return this.#insert({ id, name, spec, digest: null, fileBytes: null, createdAt: this.now() })
  }

  /**
   * Stores an uploaded npz file (arrays `x` and perhaps `y`).
   * @throws DATASET_EXISTS, DATASET_INVALID, UPLOAD_TOO_LARGE, UPLOAD_INCOMPLETE, DISK_FULL; nothing is stored then.
   */
  async upload({ id, name = id }: { id: string; name?: string }, source: Readable): Promise<Dataset> {
    this.#refuseKnown(id)
    const staged = await this.artifacts.receive(source, this.limits.uploadBytes)
    try {
      await staged.keep()
      return this.#insert({
        id,
        name,
        spec: `npz:${this.artifacts.path(staged.digest)}`,
        digest: staged.digest,
        fileBytes: staged.bytes,
        createdAt: this.now(),
      })
    } finally {
      await staged.discard()
    }
  }

  #insert(dataset: Dataset): Dataset {
    this.#refuseKnown(dataset.id)
    this.db
      .prepare('INSERT INTO datasets VALUES (@id, @name, @spec, @digest, @fileBytes, @createdAt)')
      .run(dataset)
    return dataset
  }

  #refuseKnown(id: string): void {
    if (this.db.prepare('SELECT 1 FROM datasets WHERE id = ?').get(id)) {
      throw new EspalierError('DATASET_EXISTS', `a dataset '${id}' exists; choose another id`)
    }
  }
}
