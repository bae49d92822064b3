import { generateKeyPairSync } from 'node:crypto'
import { chmodSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Credential, readCredential, writeCredential } from '@espalier/agent/credential.js'
import { publicKeyText } from '@espalier/shared/signing.js'
import t from 'tap'

const good: Credential = {
  id: 'pi-1',
  password: 'secret',
  broker: 'mqtt://127.0.0.1:1883',
  servicePublicKey: publicKeyText(generateKeyPairSync('ed25519').publicKey),
}

t.test('a credential is its owner’s alone, and is read as it was written', (t) => {
  const file = join(t.testdir(), 'c.json')
  writeCredential(file, good)
  t.equal(statSync(file).mode & 0o777, 0o600)
  t.same(readCredential(file), good)
  for (const mode of [0o640, 0o604]) {
    chmodSync(file, mode)
    t.throws(() => readCredential(file), { code: 'CREDENTIAL_INVALID', message: /chmod 600/ })
  }
  t.end()
})

t.test('what is no credential is told from one, with the reason', (t) => {
  const folder = t.testdir({ folder: {} })
  const file = join(folder, 'c.json')
  const refused: [object | string | null, RegExp][] = [
    ['no JSON', /not valid JSON|JSON/],
    [null, /not a JSON object/],
    [{ ...good, password: '' }, /"password" is missing/],
    [{ ...good, id: '../pi' }, /no device id/],
    [{ ...good, issuedAt: 'now' }, /"issuedAt" is no number/],
    [{ ...good, broker: 'http://here' }, /http:\/\/here/],
  ]
  for (const [content, says] of refused) {
    writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content), { mode: 0o600 })
    t.throws(() => readCredential(file), { code: 'CREDENTIAL_INVALID', message: says })
  }
  for (const name of ['absent', 'folder'])
    t.throws(() => readCredential(join(folder, name)), { message: /there is no such file/ })
  t.end()
})
