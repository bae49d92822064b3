export { type Database, type Migration, openDatabase, storeError } from './database.js'
export { newId } from './ids.js'
export { afterCursor, defaultLimit, type Page, pageOf } from './paging.js'
