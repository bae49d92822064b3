import type { Migration } from '../migration.js'

/** Times are milliseconds since 1970; digests are lower-case hex SHA-256. */
export const catalog: Migration = {
  number: 1,
  name: 'catalog',
  sql: `
    CREATE TABLE models (
      id TEXT PRIMARY KEY,
      name TEXT NOT NULL,
      createdAt INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE modelVersions (
      model TEXT NOT NULL REFERENCES models (id),
      version INTEGER NOT NULL,
      digest TEXT NOT NULL,
      fileBytes INTEGER NOT NULL,
      facts TEXT NOT NULL,
      createdAt INTEGER NOT NULL,
      PRIMARY KEY (model, version)
    ) STRICT;
    CREATE TABLE datasets (
      id TEXT PRIMARY KEY,
      name TEXT NOT NULL,
      spec TEXT NOT NULL,
      digest TEXT,
      fileBytes INTEGER,
      facts TEXT NOT NULL,
      createdAt INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE variants (
      id TEXT PRIMARY KEY,
      name TEXT NOT NULL,
      model TEXT NOT NULL,
      version INTEGER NOT NULL,
      compilation TEXT,
      digest TEXT NOT NULL,
      figures TEXT NOT NULL,
      ports TEXT NOT NULL,
      createdAt INTEGER NOT NULL,
      withdrawnAt INTEGER,
      FOREIGN KEY (model, version) REFERENCES modelVersions (model, version)
    ) STRICT;
    CREATE INDEX variantsByVersion ON variants (model, version);
  `,
}
