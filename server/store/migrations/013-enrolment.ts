import type { Migration } from '../migration.js'

/**
 * Tokens with which devices enrol, kept as their SHA-256. A device's password may have a successor, which takes its
 * place when the device first connects with it; `rotation` counts them, and `rotating` says that one is due.
 */
export const enrolment: Migration = {
  number: 13,
  name: 'enrolment',
  sql: `
    CREATE TABLE enrolmentTokens (
      id TEXT PRIMARY KEY,
      secretHash BLOB NOT NULL UNIQUE,
      groupId TEXT,
      device TEXT,
      uses INTEGER NOT NULL,
      used INTEGER NOT NULL DEFAULT 0,
      createdAt INTEGER NOT NULL,
      expiresAt INTEGER NOT NULL,
      revokedAt INTEGER
    ) STRICT;
    ALTER TABLE devices ADD COLUMN publicKey TEXT;
    ALTER TABLE devices ADD COLUMN token TEXT;
    ALTER TABLE devices ADD COLUMN nextPasswordHash BLOB;
    ALTER TABLE devices ADD COLUMN rotation INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE devices ADD COLUMN rotating INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE devices ADD COLUMN revokedAt INTEGER;
    ALTER TABLE devices ADD COLUMN retiredAt INTEGER;
  `,
}
