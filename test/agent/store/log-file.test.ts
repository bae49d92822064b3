import { appendFileSync, mkdtempSync, readdirSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LogFile, readLog } from '@espalier/agent/store/log-file.js'
import t from 'tap'
import { fillUp, smallDisk } from '../../support/small-disk.js'

const folder = () => mkdtempSync(join(tmpdir(), 'espalier-log-'))

t.test('a log stays within its bound, and its newest lines are read whole', async (t) => {
  const path = folder()
  const file = new LogFile(path, { fileBytes: 1000, files: 3 })
  for (let i = 0; i < 500; i++) file.write(`line ${i} é`)
  file.close()
  t.same(readdirSync(path).sort(), ['agent.log', 'agent.log.1', 'agent.log.2'])
  for (const name of readdirSync(path)) t.ok(statSync(join(path, name)).size <= 1000, name)
  const lines = readLog(path).trimEnd().split('\n')
  t.equal(lines.at(-1), 'line 499 é')
  t.ok(lines.length > 150, `${lines.length} lines`)
  t.same(
    lines,
    Array.from({ length: lines.length }, (_, i) => `line ${500 - lines.length + i} é`),
  )
  t.match(readLog(path, 100), /^line \d+ é\n/)
  t.ok(Buffer.byteLength(readLog(path, 100)) <= 100)
  const again = new LogFile(path, { fileBytes: 1000, files: 3 })
  again.write('x'.repeat(5000))
  t.equal(readLog(path).trimEnd().split('\n').at(-1)?.length, 250, 'a line that is too long is cut')
  t.match(readLog(path), 'line 499', 'and it goes on after a restart')
})

t.test('there may be no log', async (t) => {
  t.equal(readLog(join(folder(), 'nowhere')), '')
})

t.test('a full disk is no reason to stop', async (t) => {
  const disk = smallDisk(t, '256k')
  if (!disk) {
    t.pass('a full disk', { skip: 'mounting a small tmpfs needs root' })
    return
  }
  const file = new LogFile(join(disk, 'logs'))
  t.teardown(() => file.close())
  fillUp(join(disk, 'filler'))
  for (let i = 0; i < 10; i++) file.write('nobody will read this')
  appendFileSync(join(disk, 'filler'), '')
  t.equal(readLog(join(disk, 'logs')), '')
})
