import type { Migration } from '../migration.js'

/** Answers lay open until now, with the passwords and codes in them: what is kept from here on is sealed. */
export const sealedAnswers: Migration = {
  number: 15,
  name: 'sealed-answers',
  sql: 'DELETE FROM idempotencyKeys;',
}
