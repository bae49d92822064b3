import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { encode, root, roots } from '@espalier/shared/messages/index.js'
import { publicKeyText, seal } from '@espalier/shared/signing.js'
import { documentKeys, follow, pinned } from '@espalier/shared/trust.js'
import t from 'tap'

const key = () => generateKeyPairSync('ed25519').privateKey
const [r1, r2, s1, s2, thief] = [key(), key(), key(), key(), key()]

/** A root as its envelope. */
const version = (n: number, root_: KeyObject, documents: KeyObject, ...by: KeyObject[]): unknown =>
  dated(n, undefined, root_, documents, ...by)
const dated = (
  n: number,
  expiresAt: number | undefined,
  root_: KeyObject,
  documents: KeyObject,
  ...by: KeyObject[]
): unknown =>
  JSON.parse(
    seal(
      root,
      {
        ...{ type: 'root', version: n, issuedAt: 1, root: [publicKeyText(root_)] },
        ...(expiresAt !== undefined && { expiresAt }),
        documents: [{ key: publicKeyText(documents), until: null }],
      },
      ...by,
    ).toString(),
  )
const message = (...chain: unknown[]) => encode(roots, { roots: chain })
const first = version(1, r1, s1, r1)
const begun = follow(pinned(r1), message(first))

t.test('a new root needs a root key of the one before, and one of its own', (t) => {
  const second = version(2, r2, s2, r1, r2)
  t.equal(follow(begun, message(first, second)).version, 2)
  for (const [what, forged] of Object.entries({
    'without the old root key': version(2, r2, s2, r2),
    'without its own': version(2, r2, s2, r1),
    'by the key of documents': version(2, thief, thief, s1, thief),
    'by nobody that is known': version(2, thief, thief, thief),
  }))
    t.throws(() => follow(begun, message(first, forged)), { code: 'SIGNATURE_INVALID' }, what)
  const bent = JSON.parse(JSON.stringify(second).replace(publicKeyText(s2), publicKeyText(thief)))
  t.throws(() => follow(begun, message(first, bent)), { code: 'SIGNATURE_INVALID' }, 'with another key in it')
  t.end()
})

t.test('versions are followed one by one; older ones change nothing', (t) => {
  const third = version(3, r2, s2, r1, r2)
  t.throws(() => follow(begun, message(first, third)), {
    code: 'SIGNATURE_INVALID',
    message: /does not follow/,
  })
  const ahead = follow(begun, message(first, version(2, r2, s2, r1, r2)))
  t.equal(follow(ahead, message(first)), ahead)
  t.throws(() => follow(pinned(thief), message(first)), { code: 'SIGNATURE_INVALID' })
  t.throws(() => follow(begun, Buffer.from('{"roots":[null]}').subarray(0, 8)), { code: 'MESSAGE_INVALID' })
  t.equal(follow(begun, message(null, 7, first)), begun, 'what is no root is passed over')
  t.end()
})

t.test(
  'once the newest root has expired no document holds, and a newer one heals that; older ones may expire',
  (t) => {
    const [old, renewed] = [dated(2, 1000, r1, s1, r1), dated(3, 5000, r2, s2, r1, r2)]
    const expiring = follow(begun, message(first, old))
    t.same(documentKeys(expiring, 999).map(publicKeyText), [publicKeyText(s1)])
    t.throws(() => documentKeys(expiring, 1000), { code: 'DOCUMENT_EXPIRED', message: /root 2 .*keys renew/ })
    for (const from of [expiring, begun]) {
      const trust = follow(from, message(first, old, renewed))
      t.same(documentKeys(trust, 1000).map(publicKeyText), [publicKeyText(s2)])
    }
    t.equal(documentKeys(begun, Number.MAX_SAFE_INTEGER).length, 1, 'roots of before have no date')
    t.end()
  },
)
