import type { Migration } from '../migration.js'

/** `drawing` is the digest of an SVG among the artifacts; where there is none, `undrawn` says why. */
export const drawings: Migration = {
  number: 14,
  name: 'drawings',
  sql: `
    ALTER TABLE modelVersions ADD COLUMN drawing TEXT;
    ALTER TABLE modelVersions ADD COLUMN undrawn TEXT;
    ALTER TABLE variants ADD COLUMN drawing TEXT;
    ALTER TABLE variants ADD COLUMN undrawn TEXT;
  `,
}
