import type { Migration } from '../migration.js'

/** Of a compilation, as JSON: the operator times that limits on latency are expected by, and what each MB would buy. */
export const latency: Migration = {
  number: 16,
  name: 'latency',
  sql: `
    ALTER TABLE compilations ADD COLUMN profile TEXT;
    ALTER TABLE compilations ADD COLUMN frontier TEXT;
  `,
}
