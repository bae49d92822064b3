export { type Database, type Migration, openDatabase, storeError } from './database.js'
