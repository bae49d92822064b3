import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { openDatabase, storeError } from '@espalier/server/store/index.js'
import { migrations } from '@espalier/server/store/migrations/index.js'
import t from 'tap'
import { smallDisk } from '../support/small-disk.js'

t.test('a fresh database has every migration and keeps what is written', (t) => {
  const path = join(t.testdir(), 'e.db')
  const db = openDatabase(path)
  t.equal(db.pragma('user_version', { simple: true }), migrations.at(-1)?.number)
  t.equal(db.pragma('journal_mode', { simple: true }), 'wal')
  db.prepare('INSERT INTO models (id, name, createdAt) VALUES (?, ?, ?)').run('m', 'M', 1)
  db.close()
  const again = openDatabase(path)
  t.same(again.prepare('SELECT id FROM models').all(), [{ id: 'm' }])
  t.throws(
    () => again.prepare("INSERT INTO modelVersions VALUES ('nobody', 1, '', 0, '{}', 0, NULL, NULL)").run(),
    { code: 'SQLITE_CONSTRAINT_FOREIGNKEY' },
    'foreign keys hold',
  )
  again.close()
  t.end()
})

t.test('migration numbers rise', (t) => {
  const numbers = migrations.map((m) => m.number)
  t.same(
    numbers,
    [...new Set(numbers)].sort((a, b) => a - b),
  )
  t.end()
})

t.test('later steps run on an older database, and a failing one changes nothing', (t) => {
  const path = join(t.testdir(), 'e.db')
  const one = { number: 1, name: 'one', sql: 'CREATE TABLE a (x INTEGER) STRICT;' }
  const two = { number: 5, name: 'two', sql: 'CREATE TABLE b (x INTEGER) STRICT;' }
  openDatabase(path, [one]).close()
  const bad = {
    number: 6,
    name: 'bad',
    sql: 'CREATE TABLE c (x INTEGER) STRICT; CREATE TABLE a (x INTEGER);',
  }
  t.throws(() => openDatabase(path, [one, two, bad]), /already exists/)
  const db = openDatabase(path, [one, two])
  const tables = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").pluck().all()
  t.same(tables, ['a', 'b'])
  db.close()
  t.end()
})

t.test('a database from a newer version is refused and left alone', (t) => {
  const path = join(t.testdir(), 'e.db')
  const db = openDatabase(path)
  db.pragma('user_version = 9999')
  db.close()
  t.throws(() => openDatabase(path), { code: 'DATABASE_NEWER', message: /schema 9999/ })
  const later = openDatabase(path, [...migrations, { number: 9999, name: 'later', sql: '' }])
  t.equal(later.pragma('user_version', { simple: true }), 9999)
  later.close()
  t.end()
})

t.test('a file that is no database is refused', (t) => {
  const path = join(t.testdir({ 'e.db': 'x'.repeat(5000) }), 'e.db')
  t.throws(() => openDatabase(path), { code: 'DATABASE_INVALID' })
  t.throws(() => openDatabase(join(t.testdirName, 'nowhere', 'e.db')), /directory does not exist/)
  t.end()
})

t.test('a full disk is a clear error and what was stored stays', (t) => {
  const mount = smallDisk(t, '512k')
  if (!mount) {
    t.pass('a full disk', { skip: 'mounting a small tmpfs needs root' })
    return t.end()
  }
  const db = openDatabase(join(mount, 'e.db'))
  db.prepare("INSERT INTO models VALUES ('first', 'First', 1)").run()
  let thrown: unknown
  try {
    for (let i = 0; i < 1000; i++) {
      db.prepare('INSERT INTO models VALUES (?, ?, 1)').run(`m${i}`, 'x'.repeat(10_000))
    }
  } catch (e) {
    thrown = storeError(e)
  }
  t.match(thrown, { code: 'DISK_FULL', message: /disk .* is full/ })
  t.equal(db.prepare("SELECT name FROM models WHERE id = 'first'").pluck().get(), 'First')
  db.close()
  t.throws(
    () => {
      try {
        writeFileSync(join(mount, 'more'), Buffer.alloc(2 ** 20))
      } catch (e) {
        throw storeError(e)
      }
    },
    { code: 'DISK_FULL' },
  )
  t.end()
})
