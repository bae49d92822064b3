import type { Migration } from '../migration.js'

/** `at` is when the device says it measured, if its clock can be right, or else when the report came. */
export const telemetry: Migration = {
  number: 12,
  name: 'telemetry',
  sql: `
    CREATE TABLE reports (
      id TEXT NOT NULL,
      device TEXT NOT NULL,
      model TEXT NOT NULL,
      version INTEGER NOT NULL,
      variant TEXT NOT NULL,
      board TEXT NOT NULL,
      at INTEGER NOT NULL,
      receivedAt INTEGER NOT NULL,
      p50Ms REAL NOT NULL,
      p90Ms REAL,
      p95Ms REAL,
      p99Ms REAL,
      measuredRamBytes INTEGER NOT NULL,
      throttled INTEGER NOT NULL,
      report TEXT NOT NULL,
      PRIMARY KEY (device, id)
    ) STRICT;
    CREATE INDEX reportsByTime ON reports (at);
    CREATE INDEX reportsByDevice ON reports (device, at);
    CREATE INDEX reportsByModel ON reports (model, version, device, variant, at);
    CREATE INDEX reportsByVariant ON reports (variant, at);
  `,
}
