import type { Migration } from '../database.js'
import { catalog } from './001-catalog.js'
import { compilations } from './002-compilations.js'
import { idempotency } from './003-idempotency.js'

/** Every step, in rising order. */
export const migrations: readonly Migration[] = [catalog, compilations, idempotency]
