import type { Database } from '../store/index.js'

/** A variant that nothing refers to. */
export interface Unused {
  readonly id: string
  readonly bytes: number
  readonly unusedSince: number
}

/**
 * A catalogue is in force where devices follow it: assigned to a device or a group, or the newest of its model that offers
 * anything, which an assignment without a version takes.
 */
const inForce = `(
  EXISTS (SELECT 1 FROM desired AS d WHERE d.model = v.model AND d.version = v.version)
  OR EXISTS (SELECT 1 FROM deviceGroups WHERE json_extract(assignment, '$.model') = v.model
             AND json_extract(assignment, '$.version') = v.version)
  OR v.version = (SELECT max(version) FROM variants WHERE model = v.model AND withdrawnAt IS NULL))`

/** What such a catalogue names, as it was published last and as it is to be; what a device runs, ran before, or fetches. */
const isUsed = `(
  ${inForce} AND (v.withdrawnAt IS NULL OR EXISTS (
    SELECT 1 FROM catalogues AS c WHERE c.model = v.model AND c.version = v.version AND instr(c.variants, v.digest) > 0))
  OR EXISTS (SELECT 1 FROM devices WHERE retiredAt IS NULL AND instr(reported, v.digest) > 0))`

/** Who refers to what, asked of the database: each question reads at most one column of all devices, or of all variants. */
export class References {
  constructor(private readonly db: Database) {}

  variants(): string[] {
    return this.db.prepare('SELECT id FROM variants ORDER BY id').pluck().all() as string[]
  }

  /** Notes since when a variant is unused; null where something refers to it. */
  mark(id: string, now: number): void {
    this.db
      .prepare(
        `UPDATE variants AS v SET unusedSince = CASE WHEN unusedSince IS NULL THEN @now END
         WHERE id = @id AND (unusedSince IS NULL) = NOT ${isUsed}`,
      )
      .run({ id, now })
  }

  /** Those that are marked, the longest unused first. */
  unused(): Unused[] {
    return this.db
      .prepare<[], Unused>(
        `SELECT id, json_extract(figures, '$.fileBytes') AS bytes, unusedSince FROM variants
         WHERE unusedSince IS NOT NULL ORDER BY unusedSince, id`,
      )
      .all()
  }

  /** Whether something has come to refer to the variant since it was marked. */
  isUsed(id: string): boolean {
    return this.db.prepare(`SELECT 1 FROM variants AS v WHERE id = ? AND ${isUsed}`).get(id) !== undefined
  }

  /** Every artifact that a row is about; catalogues name others for a moment, see `isNamed`. */
  artifacts(): Set<string> {
    const named = this.db
      .prepare(
        `SELECT digest FROM variants UNION SELECT drawing FROM variants
         UNION SELECT digest FROM modelVersions UNION SELECT drawing FROM modelVersions UNION SELECT digest FROM datasets`,
      )
      .pluck()
      .all()
    return new Set(named as string[])
  }

  /** Whether anything is about an artifact now, or a catalogue still offers it. */
  isNamed(digest: string): boolean {
    const offers = this.db.prepare('SELECT 1 FROM catalogues WHERE instr(variants, ?) > 0')
    return this.artifacts().has(digest) || offers.get(digest) !== undefined
  }
}
