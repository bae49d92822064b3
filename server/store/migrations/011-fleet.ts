import type { Migration } from '../migration.js'

/** What devices said last (facts, reported) is kept as they said it. A password is kept as its SHA-256. */
export const fleet: Migration = {
  number: 11,
  name: 'fleet',
  sql: `
    CREATE TABLE devices (
      id TEXT PRIMARY KEY,
      passwordHash BLOB NOT NULL,
      online INTEGER NOT NULL DEFAULT 0,
      epoch INTEGER NOT NULL DEFAULT 0,
      lastSeenAt INTEGER,
      facts TEXT,
      reported TEXT,
      createdAt INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE deviceGroups (
      id TEXT PRIMARY KEY,
      assignment TEXT
    ) STRICT;
    CREATE TABLE groupMembers (
      groupId TEXT NOT NULL REFERENCES deviceGroups (id),
      device TEXT NOT NULL REFERENCES devices (id),
      PRIMARY KEY (groupId, device)
    ) STRICT;
    CREATE INDEX groupsByMember ON groupMembers (device);
    CREATE TABLE desired (
      device TEXT PRIMARY KEY REFERENCES devices (id),
      revision INTEGER NOT NULL,
      model TEXT NOT NULL,
      version INTEGER NOT NULL,
      catalogueSequence INTEGER NOT NULL,
      objective TEXT NOT NULL,
      expiresAt INTEGER NOT NULL,
      document BLOB NOT NULL
    ) STRICT;
    CREATE INDEX desiredByVersion ON desired (model, version);
    CREATE TABLE commands (
      device TEXT NOT NULL REFERENCES devices (id),
      n INTEGER NOT NULL,
      action TEXT NOT NULL,
      expiresAt INTEGER NOT NULL,
      document BLOB NOT NULL,
      ack TEXT,
      PRIMARY KEY (device, n)
    ) STRICT;
  `,
}
