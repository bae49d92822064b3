import type { Migration } from '../migration.js'

/** Since when nothing refers to a variant: no catalogue that devices follow, and no device. */
export const unused: Migration = {
  number: 19,
  name: 'unused',
  sql: `
    ALTER TABLE variants ADD COLUMN unusedSince INTEGER;
  `,
}
