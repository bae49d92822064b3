import type { Migration } from '../migration.js'

/** The log that a device sent last, as the command numbered `n` asked for. */
export const deviceLogs: Migration = {
  number: 18,
  name: 'deviceLogs',
  sql: `
    CREATE TABLE deviceLogs (
      device TEXT PRIMARY KEY REFERENCES devices (id),
      n INTEGER NOT NULL,
      at INTEGER NOT NULL,
      text TEXT NOT NULL
    ) STRICT;
  `,
}
