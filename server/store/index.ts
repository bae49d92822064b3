export { type Database, openDatabase, storeError } from './database.js'
export { newId } from './ids.js'
export type { Migration } from './migration.js'
export { afterCursor, defaultLimit, type Page, pageOf } from './paging.js'
