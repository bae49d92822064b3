import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Outbox } from '@espalier/agent/store/outbox.js'
import t from 'tap'
import { smallDisk } from '../../support/small-disk.js'
import { ForgetfulDisk, restore } from '../support/disk.js'

const folder = () => mkdtempSync(join(tmpdir(), 'espalier-outbox-'))
const logIn = (path: string) => join(path, 'reports.log')

t.test('keeps reports through a restart, in their order', async (t) => {
  const path = folder()
  const outbox = new Outbox(path)
  for (const id of ['b', 'a', 'c']) outbox.put(id, { id, text: 'a line\nand + another' })
  outbox.remove('a')
  outbox.remove('unknown')
  const again = new Outbox(path)
  t.same(again.ids(), ['b', 'c'])
  t.same(JSON.parse(again.read('b')!), { id: 'b', text: 'a line\nand + another' })
  t.equal(again.read('a'), null)
  t.equal(again.dropped, 0)
})

t.test('gives up the oldest beyond its bounds, and counts them', async (t) => {
  const path = folder()
  const outbox = new Outbox(path, { maxReports: 2 })
  for (const id of ['1', '2', '3']) outbox.put(id, { id })
  t.same(outbox.ids(), ['2', '3'])
  const again = new Outbox(path)
  t.equal(again.dropped, 1, 'the count outlives the process')
  t.same(again.ids(), ['2', '3'])
  const small = new Outbox(folder(), { maxBytes: 30 })
  for (const id of ['1', '2', '3', '4']) small.put(id, { id, x: 'xxx' })
  t.equal(small.size + small.dropped, 4)
  t.ok(small.size <= 1)
})

t.test('stays small however many reports pass through', async (t) => {
  const path = folder()
  const outbox = new Outbox(path)
  outbox.put('stays', {})
  const text = 'x'.repeat(4000)
  for (let i = 0; i < 400; i++) {
    outbox.put(`r${i}`, { text })
    outbox.remove(`r${i}`)
    if (statSync(logIn(path)).size > 300_000) t.fail(`${statSync(logIn(path)).size} bytes after ${i} reports`)
  }
  t.same(new Outbox(path).ids(), ['stays'])
  t.equal(outbox.read('stays'), '{}', 'also for who wrote the file anew')
  outbox.remove('stays')
  t.equal(statSync(logIn(path)).size, 40, 'of an empty one the count is left')
})

t.test('drops a report that the disk has damaged instead of sending it for ever', async (t) => {
  const path = folder()
  const outbox = new Outbox(path)
  for (const id of ['x', 'y']) outbox.put(id, { a: 1 })
  writeFileSync(logIn(path), readFileSync(logIn(path), 'utf8').replace('{"a":1}', '{"a":1,'))
  t.equal(outbox.read('x'), null)
  t.same(outbox.ids(), ['y'])
  t.equal(outbox.dropped, 1)
})

t.test('a torn last line is cut off, and a report in it counted', async (t) => {
  const path = folder()
  new Outbox(path).put('x', {})
  appendFileSync(logIn(path), '+y {"half"')
  const outbox = new Outbox(path)
  t.same([outbox.ids(), outbox.dropped], [['x'], 1])
  outbox.put('z', {})
  appendFileSync(logIn(path), '\0\0\0')
  const again = new Outbox(path)
  t.same([again.ids(), again.dropped], [['x', 'z'], 1], 'what was no report is not counted')
})

t.test('takes over, once, what an agent of before kept in files of one report each', async (t) => {
  const path = folder()
  for (const id of ['2', '1']) writeFileSync(join(path, `${id}.json`), JSON.stringify({ id }))
  writeFileSync(join(path, 'dropped'), '7')
  const outbox = new Outbox(path)
  t.same([outbox.ids(), outbox.dropped], [['1', '2'], 7])
  t.same(JSON.parse(outbox.read('2')!), { id: '2' })
  t.same(readdirSync(path), ['reports.log'])
  writeFileSync(join(path, '1.json'), JSON.stringify({ id: '1' }))
  writeFileSync(join(path, 'dropped'), '7')
  const again = new Outbox(path)
  t.same([again.ids(), again.dropped], [['1', '2'], 7], 'where a power cut came between')
})

t.test('on a full disk a report is counted, also across a restart, and the rest is kept', async (t) => {
  const disk = smallDisk(t, '256k')
  if (!disk) {
    t.pass('a full disk', { skip: 'mounting a small tmpfs needs root' })
    return
  }
  const path = join(disk, 'outbox')
  mkdirSync(path)
  const outbox = new Outbox(path)
  outbox.put('before', {})
  const filler = join(disk, 'filler')
  try {
    for (;;) appendFileSync(filler, Buffer.alloc(4096))
  } catch {
    // full
  }
  const large = { text: 'x'.repeat(10_000) }
  t.throws(() => outbox.put('lost', large), { code: 'ENOSPC' })
  t.same([outbox.ids(), outbox.dropped], [['before'], 1])
  const again = new Outbox(path)
  t.same([again.ids(), again.dropped], [['before'], 1])
  unlinkSync(filler)
  again.put('after', large)
  t.same(new Outbox(path).ids(), ['before', 'after'])
})

t.test('power lost after any write loses no report that was kept, and no count', async (t) => {
  const root = folder()
  const disk = new ForgetfulDisk(root)
  /** From which cut on each of these holds: reports that must be there or counted, and removals. */
  const kept: { from: number; id: string }[] = []
  const removed: { from: number; id: string }[] = []
  const path = join(root, 'outbox')
  try {
    const outbox = new Outbox(path, { maxReports: 4, maxBytes: 400_000 })
    const put = (id: string, bytes = 10) => {
      outbox.put(id, { text: 'x'.repeat(bytes) })
      kept.push({ from: disk.cuts.length, id })
    }
    const remove = (id: string) => {
      removed.push({ from: disk.cuts.length, id })
      outbox.remove(id)
    }
    for (const id of ['a', 'b', 'c']) put(id)
    remove('b')
    for (const id of ['d', 'e', 'f']) put(id)
    for (let i = 0; i < 4; i++) put(`large${i}`, 90_000)
    for (let i = 0; i < 4; i++) remove(`large${i}`)
    for (const id of ['g', 'h']) put(id)
    outbox.close()
  } finally {
    disk.end()
  }
  t.ok(disk.cuts.length > 25, `${disk.cuts.length} different disks`)
  for (const [i, { call, remains }] of disk.cuts.entries()) {
    const at = folder()
    restore(remains, at)
    const outbox = new Outbox(join(at, 'outbox'))
    const gone = new Set(removed.filter(({ from }) => from <= i).map(({ id }) => id))
    const due = kept.filter(({ from, id }) => from <= i && !gone.has(id))
    const missing = due.filter(({ id }) => outbox.read(id) === null)
    if (missing.length > outbox.dropped)
      t.fail(`cut ${i}, ${call}: ${missing.map(({ id }) => id)} missing, ${outbox.dropped} counted`)
    outbox.put('new', {})
    if (new Outbox(join(at, 'outbox')).read('new') === null) t.fail(`cut ${i}, ${call}: takes no more`)
    rmSync(at, { recursive: true })
  }
})
