import { EspalierError } from '@espalier/shared'
import type { Events } from '../events.js'
import type { PageQuery, Variant, VariantFigures, VariantPorts } from '../http/schemas/index.js'
import { afterCursor, type Database, defaultLimit, newId, type Page, pageOf } from '../store/index.js'
import type { Drawn } from './drawings.js'

export interface VariantQuery extends PageQuery {
  model?: string
  version?: number
  compilation?: string
  withdrawn?: boolean
}

export interface NewVariant {
  readonly name: string
  readonly model: string
  readonly version: number
  readonly compilation: string | null
  /** Of its artifact, which must be stored already. */
  readonly digest: string
  readonly figures: VariantFigures
  readonly ports: VariantPorts
  /** How it looks beside the dense network. */
  readonly drawn?: Drawn
}

type Row = Omit<Variant, keyof VariantFigures | keyof VariantPorts> & { figures: string; ports: string }

/** The compiled forms of model versions. Every change of an offer is an event. */
export class Variants {
  constructor(
    private readonly db: Database,
    private readonly events: Events,
    private readonly now: () => number = Date.now,
  ) {}

  /** Newest first. */
  list({
    model,
    version,
    compilation,
    withdrawn,
    cursor,
    limit = defaultLimit,
  }: VariantQuery): Page<Variant> {
    const where: [string, unknown][] = []
    if (model !== undefined) where.push(['model = ?', model])
    if (version !== undefined) where.push(['version = ?', version])
    if (compilation !== undefined) where.push(['compilation = ?', compilation])
    if (withdrawn !== undefined)
      where.push([`withdrawnAt IS ${withdrawn ? 'NOT ' : ''}NULL AND ? IS NULL`, null])
    const before = afterCursor(cursor)
    if (before !== undefined) where.push(['id < ?', before])
    const filter = where.length > 0 ? `WHERE ${where.map(([sql]) => sql).join(' AND ')}` : ''
    const rows = this.db
      .prepare<unknown[], Row>(`SELECT * FROM variants ${filter} ORDER BY id DESC LIMIT ?`)
      .all(...where.map(([, value]) => value), limit + 1)
    return pageOf(rows.map(fromRow), limit, (v) => v.id)
  }

  /** Those that devices may choose from. */
  offered(model: string, version: number): Variant[] {
    return this.db
      .prepare<[string, number], Row>(
        'SELECT * FROM variants WHERE model = ? AND version = ? AND withdrawnAt IS NULL ORDER BY id',
      )
      .all(model, version)
      .map(fromRow)
  }

  /** The model versions that have variants, or had some when their catalogue was published. */
  versions(): { model: string; version: number }[] {
    return this.db
      .prepare<[], { model: string; version: number }>(
        'SELECT model, version FROM variants UNION SELECT model, version FROM catalogues',
      )
      .all()
  }

  /** The name of the newest variant with these bytes. */
  nameOf(digest: string): string | null {
    const row = this.db
      .prepare<[string], { name: string }>(
        'SELECT name FROM variants WHERE digest = ? ORDER BY id DESC LIMIT 1',
      )
      .get(digest)
    return row?.name ?? null
  }

  /** @throws VARIANT_UNKNOWN */
  get(id: string): Variant {
    const row = this.db.prepare<[string], Row>('SELECT * FROM variants WHERE id = ?').get(id)
    if (!row)
      throw new EspalierError('VARIANT_UNKNOWN', `there is no variant '${id}'; see espalier variants ls`)
    return fromRow(row)
  }

  /**
   * Adds the variants of one compilation, all or none, and does `also` in the same transaction.
   * @returns their ids.
   */
  add(variants: readonly NewVariant[], also: () => void = () => {}): string[] {
    const insert = this.db.prepare(
      `INSERT INTO variants (id, name, model, version, compilation, digest, figures, ports, drawing, undrawn, createdAt)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    )
    const ids = this.db.transaction(() => {
      also()
      return variants.map((v) => {
        const id = newId('v', this.now())
        const [figures, ports] = [JSON.stringify(v.figures), JSON.stringify(v.ports)]
        const { drawing = null, undrawn = null } = v.drawn ?? {}
        const of = [id, v.name, v.model, v.version, v.compilation, v.digest]
        insert.run(...of, figures, ports, drawing, undrawn, this.now())
        return id
      })
    })()
    const offers = new Map(variants.map((v) => [`${v.model}/${v.version}`, v]))
    for (const { model, version } of offers.values()) this.#announce(model, version)
    return ids
  }

  /** Takes a variant out of the offer for good; devices that run it choose another. Doing it twice changes nothing. */
  withdraw(id: string): Variant {
    const { model, version } = this.get(id)
    const { changes } = this.db
      .prepare('UPDATE variants SET withdrawnAt = ? WHERE id = ? AND withdrawnAt IS NULL')
      .run(this.now(), id)
    if (changes > 0) this.#announce(model, version)
    return this.get(id)
  }

  /** Takes a variant out of the offer and out of the database. */
  remove(id: string): void {
    const { model, version } = this.get(id)
    this.db.prepare('DELETE FROM variants WHERE id = ?').run(id)
    this.#announce(model, version)
  }

  #announce(model: string, version: number): void {
    this.events.emit({ type: 'variants.changed', model, version })
  }
}

const fromRow = ({ figures, ports, ...row }: Row): Variant => ({
  ...row,
  ...(JSON.parse(figures) as VariantFigures),
  ...(JSON.parse(ports) as VariantPorts),
})
