import { chmodSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  backupOf,
  freshRoots,
  keyFiles,
  keyIn,
  renew,
  restoreKeys,
  rootKeyOf,
  rootLifetimeMs,
  rotate,
  serviceKeys,
} from '@espalier/server/delivery/index.js'
import { publicKeyFrom, publicKeyText } from '@espalier/shared/signing.js'
import { documentKeys, follow, pinned } from '@espalier/shared/trust.js'
import t from 'tap'
import { Log } from '../support/mqtt.js'

const day = 24 * 3600 * 1000
const texts = (keys: readonly Parameters<typeof publicKeyText>[0][]) => keys.map(publicKeyText)

t.test('the keys are made once, for their owner only, and read after that', (t) => {
  const folder = join(t.testdir(), 'data')
  const made = serviceKeys(folder)
  const files = keyFiles(folder)
  for (const file of [files.signing, files.secret]) t.equal(statSync(file).mode & 0o777, 0o600)
  const again = serviceKeys(folder)
  t.equal(publicKeyText(again.signing), publicKeyText(made.signing))
  t.ok(again.secret.equals(made.secret))
  t.equal(made.rootKey, publicKeyText(made.signing), 'one key is both until it is rotated')
  t.end()
})

t.test('a damaged or lost key is refused, not replaced', (t) => {
  const root = t.testdir({ a: {}, b: {} })
  const [folder, other] = ['a', 'b'].map((name) => join(root, name))
  const { signing } = keyFiles(folder)
  writeFileSync(signing, '-----BEGIN PRIVATE KEY-----\nnothing\n')
  chmodSync(signing, 0o600)
  t.throws(() => serviceKeys(folder), { code: 'KEY_INVALID' })
  rmSync(signing)
  serviceKeys(folder)
  rmSync(signing)
  t.throws(() => serviceKeys(folder), { code: 'KEY_INVALID' })
  serviceKeys(other)
  writeFileSync(signing, readFileSync(keyFiles(other).signing))
  t.throws(() => serviceKeys(folder), {
    code: 'KEY_INVALID',
    message: /not the key that devices were told of/,
  })
  t.end()
})

t.test(
  'a device follows every rotation from the key it was given, and the old key holds for the overlap',
  (t) => {
    const folder = t.testdir()
    const first = serviceKeys(folder)
    const began = Date.now()
    rotate(folder, { which: 'signing', overlapMs: 30 * day, now: began })
    rotate(folder, { which: 'root', overlapMs: 0, now: began })
    rotate(folder, { which: 'signing', overlapMs: day, now: began })
    const last = serviceKeys(folder)
    t.not(last.rootKey, first.rootKey)
    const old = follow(pinned(publicKeyFrom(first.rootKey)), readFileSync(keyFiles(folder).roots))
    t.equal(old.version, 4, 'one that missed them all')
    t.same(texts(old.root), [last.rootKey])
    t.equal(documentKeys(old, began + day - 1).length, 3)
    t.same(texts(documentKeys(old, began + day)), [publicKeyText(last.signing)])
    const young = follow(pinned(publicKeyFrom(last.rootKey)), readFileSync(keyFiles(folder).roots))
    t.equal(young.version, 4, 'one that came in with the new root key')
    const stolen = rotate(folder, { which: 'signing', overlapMs: 0, now: began })
    t.equal(stolen.documents.length, 1, 'without an overlap the old one holds no more')
    t.end()
  },
)

t.test('a power cut in the middle of a rotation leaves the keys before it or after it', (t) => {
  const folder = t.testdir()
  serviceKeys(folder)
  const files = keyFiles(folder)
  const before = { signing: readFileSync(files.signing), roots: readFileSync(files.roots) }
  rotate(folder, { which: 'signing', overlapMs: day, now: Date.now() })
  const after = { signing: readFileSync(files.signing), roots: readFileSync(files.roots) }
  writeFileSync(files.signing, before.signing)
  writeFileSync(files.nextSigning, after.signing)
  t.equal(publicKeyText(serviceKeys(folder).signing), publicKeyText(keyIn(files.signing)), 'it is finished')
  t.same(readFileSync(files.signing), after.signing)
  t.notOk(existsSync(files.nextSigning))
  writeFileSync(files.signing, before.signing)
  writeFileSync(files.nextSigning, after.signing)
  writeFileSync(files.roots, before.roots)
  serviceKeys(folder)
  t.same(readFileSync(files.signing), before.signing, 'or it never was')
  t.end()
})

t.test('a backup brings the keys back, and only under its passphrase', (t) => {
  const folder = t.testdir({ a: {}, b: {}, c: {} })
  const [a, b, c] = ['a', 'b', 'c'].map((name) => join(folder, name))
  serviceKeys(a)
  rotate(a, { which: 'signing', overlapMs: day, now: Date.now() })
  const kept = backupOf(a, 'correct horse battery')
  t.notMatch(kept, /PRIVATE/)
  t.throws(() => restoreKeys(b, kept), { code: 'KEY_INVALID', message: /passphrase/ })
  t.throws(() => restoreKeys(b, kept, 'another one here'), { code: 'KEY_INVALID' })
  restoreKeys(b, kept, 'correct horse battery')
  const [here, there] = [serviceKeys(a), serviceKeys(b)]
  t.same([publicKeyText(there.signing), there.rootKey], [publicKeyText(here.signing), here.rootKey])
  t.ok(there.secret.equals(here.secret))
  rotate(a, { which: 'signing', overlapMs: day, now: Date.now() })
  t.throws(() => restoreKeys(a, kept, 'correct horse battery'), { code: 'KEY_INVALID', message: /older/ })
  restoreKeys(c, backupOf(a))
  t.equal(serviceKeys(c).rootKey, serviceKeys(a).rootKey)
  t.end()
})

t.test('a backup that was damaged or forged puts nothing in place', (t) => {
  const folder = t.testdir({ mine: {}, other: {} })
  const [mine, other] = ['mine', 'other'].map((name) => join(folder, name))
  for (const one of [mine, other]) serviceKeys(one)
  const files = keyFiles(mine)
  const held = () => [files.signing, files.secret, files.roots].map((file) => readFileSync(file, 'utf8'))
  const before = held()
  const [kept, foreign] = [mine, other].map((one) => JSON.parse(backupOf(one)))
  const phrase = 'correct horse battery'
  const sealed = JSON.parse(backupOf(mine, phrase))
  const tag = Buffer.from(sealed.tag, 'base64').subarray(0, 4).toString('base64')
  const damaged: [object, string?][] = [
    [{ ...kept, signing: foreign.signing }],
    [{ ...kept, root: foreign.root }],
    [{ ...kept, roots: '{}' }],
    [{ ...kept, roots: 'no JSON' }],
    [{ ...kept, signing: 'no key' }],
    [{ ...kept, secret: 'c2hvcnQ=' }],
    [{ ...sealed, tag }, phrase],
  ]
  for (const [backup, passphrase] of damaged)
    t.throws(() => restoreKeys(mine, JSON.stringify(backup), passphrase), { code: 'KEY_INVALID' })
  t.same(held(), before)
  restoreKeys(mine, JSON.stringify(kept))
  t.end()
})

t.test('the root is renewed in time while its key is here, and asked for in time where it is not', (t) => {
  const folder = t.testdir()
  const began = Date.now()
  const { rootKey } = serviceKeys(folder, () => began)
  const log = new Log()
  const trust = (now: number) => follow(pinned(publicKeyFrom(rootKey)), freshRoots(folder, log, now))
  t.match(trust(began + rootLifetimeMs / 3), { version: 1, expiresAt: began + rootLifetimeMs })
  const half = began + rootLifetimeMs / 2 + day
  t.match(trust(half), { version: 2, expiresAt: half + rootLifetimeMs })
  t.match(trust(half), { version: 2 }, 'once')
  rotate(folder, { which: 'signing', overlapMs: day, now: half })
  const kept = backupOf(folder)
  rmSync(keyFiles(folder).root)
  const end = half + rootLifetimeMs
  t.match(trust(end - 61 * day), { version: 3, expiresAt: end })
  t.same(log.lines, [])
  trust(end - 59 * day)
  t.match(log.lines, [{ level: 'warn', message: /expires .* espalier keys renew --root-key/ }])
  t.throws(() => documentKeys(trust(end), end), { code: 'DOCUMENT_EXPIRED' })
  t.match(log.lines.at(-1), { level: 'error', message: /expired .* espalier keys renew --root-key/ })
  t.throws(() => renew(folder, { now: end }), { code: 'KEY_INVALID', message: /--root-key/ })
  renew(folder, { rootKey: rootKeyOf(kept), now: end + 1 })
  t.equal(documentKeys(trust(end + 1), end + 1).length, 1, 'what has expired is renewed as well')
  restoreKeys(folder, backupOf(folder, undefined, rootKeyOf(kept)))
  t.match(trust(end + 1), { version: 4 })
  t.end()
})
