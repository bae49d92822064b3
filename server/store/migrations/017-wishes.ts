import type { Migration } from '../migration.js'

/** What a device wishes for while no variant satisfies it, as it said it. */
export const wishes: Migration = {
  number: 17,
  name: 'wishes',
  sql: `
    ALTER TABLE devices ADD COLUMN wish TEXT;
  `,
}
