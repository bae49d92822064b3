import { generateKeyPairSync } from 'node:crypto'
import { type Desired, desired } from '@espalier/shared/messages/index.js'
import { publicKeyFrom, publicKeyText, seal, unseal } from '@espalier/shared/signing.js'
import t from 'tap'

const { privateKey, publicKey } = generateKeyPairSync('ed25519')
const document: Desired = {
  type: 'desired',
  device: 'pi-4',
  revision: 5,
  issuedAt: 1000,
  expiresAt: 2000,
  model: 'digits',
  version: 1,
  catalogueSequence: 2,
  objective: { maximise: 'accuracy' },
}
const expected = { keys: [publicKey], now: 1500, bound: { device: 'pi-4' }, atLeast: 5 }
const sealed = seal(desired, document, privateKey)
const edited = (
  edit: (envelope: { signed: Desired; signatures: { keyid: string; sig: string }[] }) => void,
) => {
  const envelope = JSON.parse(sealed.toString())
  edit(envelope)
  return Buffer.from(JSON.stringify(envelope))
}

t.test('what was sealed opens, also after its properties changed their order', (t) => {
  t.same(unseal(desired, sealed, expected), document)
  const shuffled = edited((e) => {
    Object.assign(e, { signed: Object.fromEntries(Object.entries(e.signed).reverse()) })
  })
  t.same(unseal(desired, shuffled, expected), document)
  t.end()
})

t.test('an edited document, signature or key is refused', (t) => {
  const refused = (bytes: Buffer, keys = [publicKey]) =>
    t.throws(() => unseal(desired, bytes, { ...expected, keys }), { code: 'SIGNATURE_INVALID' })
  refused(edited((e) => void Object.assign(e.signed, { revision: 6 })))
  refused(
    edited(
      (e) =>
        void Object.assign(e.signatures[0], {
          sig: e.signatures[0].sig.replace(/^./, (c) => (c === 'A' ? 'B' : 'A')),
        }),
    ),
  )
  refused(edited((e) => void Object.assign(e, { signatures: [] })))
  refused(edited((e) => void Object.assign(e, { signatures: Array(9).fill(e.signatures[0]) })))
  refused(Buffer.from('{}'))
  refused(Buffer.from('null'))
  refused(sealed, [generateKeyPairSync('ed25519').publicKey])
  refused(seal(desired, document, generateKeyPairSync('ed25519').privateKey))
  const deep = `${'['.repeat(20000)}${']'.repeat(20000)}`
  refused(Buffer.from(sealed.toString().replace('"signed":{', `"signed":{"x":${deep},`)))
  t.end()
})

t.test('a document for another device, of yesterday, or replayed is refused', (t) => {
  t.throws(() => unseal(desired, sealed, { ...expected, bound: { device: 'pi-5' } }), {
    code: 'DOCUMENT_MISBOUND',
  })
  t.throws(() => unseal(desired, sealed, { ...expected, now: 2000 }), { code: 'DOCUMENT_EXPIRED' })
  t.throws(() => unseal(desired, sealed, { ...expected, atLeast: 6 }), { code: 'DOCUMENT_REPLAYED' })
  t.end()
})

t.test('a key is read back from its text', (t) => {
  t.ok(publicKeyFrom(publicKeyText(publicKey)).equals(publicKey))
  t.throws(() => publicKeyFrom('shorter'), { code: 'KEY_INVALID' })
  t.end()
})
