import type { Migration } from '../migration.js'

/** The catalogue of each model version as last signed; `withdrawn` lists digests that were offered before. */
export const delivery: Migration = {
  number: 10,
  name: 'delivery',
  sql: `
    CREATE TABLE catalogues (
      model TEXT NOT NULL,
      version INTEGER NOT NULL,
      sequence INTEGER NOT NULL,
      variants TEXT NOT NULL,
      withdrawn TEXT NOT NULL,
      expiresAt INTEGER NOT NULL,
      document BLOB NOT NULL,
      PRIMARY KEY (model, version)
    ) STRICT;
  `,
}
