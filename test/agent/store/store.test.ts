import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Artifacts, type Manifest } from '@espalier/agent/store/artifacts.js'
import { Ledger } from '@espalier/agent/store/ledger.js'
import { lockHolder, takeLock } from '@espalier/agent/store/lock.js'
import { Partial, sha256 } from '@espalier/agent/store/partial.js'
import t from 'tap'
import { locksCannotHold } from '../support/start-times.js'

const folder = () => mkdtempSync(join(tmpdir(), 'espalier-store-'))

t.test('lock', async (t) => {
  t.test('is held once, and by its process', async (t) => {
    const path = join(folder(), 'lock')
    const first = takeLock(path)
    t.same(takeLock(path), { heldBy: process.pid })
    t.equal(lockHolder(path), process.pid)
    if ('release' in first) first.release()
    t.ok('release' in takeLock(path))
    t.same(readdirSync(join(path, '..')), ['lock'], 'nothing is left beside it')
  })
  t.test('of a process that was killed is taken over', { skip: await locksCannotHold() }, async (t) => {
    const path = join(folder(), 'lock')
    const script = `import { takeLock } from '@espalier/agent/store/lock.js'; takeLock(${JSON.stringify(path)}); console.log('held'); setInterval(() => {}, 1000)`
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await once(child.stdout, 'data')
    t.same(takeLock(path), { heldBy: child.pid })
    child.kill('SIGKILL')
    await once(child, 'exit')
    t.ok('release' in takeLock(path))
  })
  t.test('of another boot, or of half a file, holds nobody up', async (t) => {
    const path = join(folder(), 'lock')
    writeFileSync(path, JSON.stringify({ pid: process.pid, startTime: '1', boot: 'another' }))
    t.equal(lockHolder(path), null)
    t.ok('release' in takeLock(path))
    const torn = join(folder(), 'lock')
    writeFileSync(torn, '{"pid":')
    t.ok('release' in takeLock(torn))
  })
})

t.test('ledger', async (t) => {
  const path = join(folder(), 'ledger.json')
  const ledger = new Ledger(path)
  ledger.accept('desired', 7)
  ledger.accept('desired', 3)
  const epoch = ledger.nextEpoch(1000)
  t.equal(epoch, 1000)
  t.equal(ledger.nextEpoch(5), 1001, 'rises also when the clock goes back')
  const again = new Ledger(path)
  t.equal(again.highest('desired'), 7, 'remembered after a restart; lower numbers do not lower it')
  t.equal(again.nextEpoch(5), 1002)
  writeFileSync(path, 'torn')
  t.equal(new Ledger(path).highest('desired'), 0, 'a damaged file is an empty one')
})

t.test('partial download', async (t) => {
  const blocks = [Buffer.alloc(100, 1), Buffer.alloc(100, 2), Buffer.alloc(30, 3)]
  const list = { bytes: 230, blockBytes: 100, hashes: blocks.map(sha256) }
  t.test('takes only blocks that hash to what was signed', async (t) => {
    const partial = new Partial(join(folder(), 'x.part'), list)
    t.equal(partial.accept(0, blocks[1]), false)
    t.equal(partial.accept(2, Buffer.concat([blocks[2], Buffer.alloc(70)])), false, 'too long')
    t.equal(partial.accept(3, blocks[0]), false, 'beyond the end')
    t.equal(partial.accept(-1, blocks[0]), false)
    t.equal(partial.missing, 3)
    for (const [i, block] of blocks.entries()) t.equal(partial.accept(i, block), true)
    t.equal(partial.missing, 0)
    partial.finish()
    t.same(readFileSync(partial.path), Buffer.concat(blocks))
    t.notOk(existsSync(`${partial.path}.map`))
  })
  t.test('goes on after a restart, but trusts no byte that does not hash', async (t) => {
    const path = join(folder(), 'x.part')
    const before = new Partial(path, list)
    before.accept(0, blocks[0])
    before.accept(1, blocks[1])
    before.close()
    const bytes = readFileSync(path)
    bytes[150] ^= 1
    writeFileSync(path, bytes)
    const after = new Partial(path, list)
    t.same([after.has(0), after.has(1), after.has(2)], [true, false, false])
    t.equal(after.missing, 2)
    after.discard()
    t.notOk(existsSync(path))
  })
})

t.test('artifacts', async (t) => {
  const put = (artifacts: Artifacts, text: string): string => {
    const digest = sha256(Buffer.from(text))
    writeFileSync(artifacts.partialPath(digest), text)
    const manifest: Manifest = {
      digest,
      model: 'm',
      version: 1,
      variant: text,
      bytes: text.length,
      inputs: [],
      outputs: [],
      preprocess: null,
      labels: null,
    }
    artifacts.install(manifest)
    return digest
  }
  const made = () => {
    const artifacts = new Artifacts(folder())
    artifacts.prepare()
    return artifacts
  }

  t.test('current is swapped whole, previous stays, the rest may go', async (t) => {
    const artifacts = made()
    const [a, b, c] = ['a', 'b', 'c'].map((text) => put(artifacts, text))
    artifacts.activate(a)
    t.equal(artifacts.linked('previous'), null)
    artifacts.activate(b)
    t.equal(readFileSync(join(artifacts.root, 'current', 'model.onnx'), 'utf8'), 'b')
    t.equal(artifacts.linked('previous'), a)
    t.same(artifacts.evict(), [c])
    t.ok(artifacts.has(a) && artifacts.has(b) && !artifacts.has(c))
    artifacts.remove(b)
    t.ok(artifacts.has(b), 'the active one cannot be removed')
  })
  t.test('damage is seen, and gives way to the previous', async (t) => {
    const artifacts = made()
    const [a, b] = ['a', 'b'].map((text) => put(artifacts, text))
    artifacts.activate(a)
    artifacts.activate(b)
    t.ok(await artifacts.isWhole(b))
    writeFileSync(artifacts.modelPath(b), 'B')
    t.notOk(await artifacts.isWhole(b))
    t.equal(artifacts.fallBack(), a)
    t.equal(artifacts.linked('previous'), null)
    artifacts.remove(b)
    t.notOk(artifacts.has(b))
  })
  t.test('without a previous there is nothing to fall back to', async (t) => {
    const artifacts = made()
    artifacts.activate(put(artifacts, 'a'))
    t.equal(artifacts.fallBack(), null)
    t.equal(artifacts.linked('current'), null)
  })
  t.test('what a kill left half installed is cleared away', async (t) => {
    const artifacts = made()
    writeFileSync(join(artifacts.root, 'artifacts', '.half'), '')
    artifacts.prepare()
    t.same(readdirSync(join(artifacts.root, 'artifacts')), [])
  })
})
