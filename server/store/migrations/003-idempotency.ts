import type { Migration } from '../migration.js'

/** `status` is null while the first request is still being answered. */
export const idempotency: Migration = {
  number: 3,
  name: 'idempotency',
  sql: `
    CREATE TABLE idempotencyKeys (
      key TEXT PRIMARY KEY,
      request TEXT NOT NULL,
      status INTEGER,
      body TEXT,
      createdAt INTEGER NOT NULL
    ) STRICT;
  `,
}
