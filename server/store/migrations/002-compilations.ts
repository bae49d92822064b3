import type { Migration } from '../migration.js'

export const compilations: Migration = {
  number: 2,
  name: 'compilations',
  sql: `
    CREATE TABLE compilations (
      id TEXT PRIMARY KEY,
      model TEXT NOT NULL,
      version INTEGER NOT NULL,
      request TEXT NOT NULL,
      state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled', 'interrupted')),
      progress TEXT,
      stages TEXT NOT NULL DEFAULT '[]',
      error TEXT,
      dense TEXT,
      report TEXT,
      createdAt INTEGER NOT NULL,
      startedAt INTEGER,
      endedAt INTEGER,
      FOREIGN KEY (model, version) REFERENCES modelVersions (model, version)
    ) STRICT;
    CREATE INDEX compilationsByState ON compilations (state);
  `,
}
