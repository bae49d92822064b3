import { chmodSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { serviceKey } from '@espalier/server/delivery/index.js'
import { publicKeyText } from '@espalier/shared/signing.js'
import t from 'tap'

t.test('the key is made once, for its owner only, and read after that', (t) => {
  const path = join(t.testdir(), 'keys', 'service.pem')
  const made = serviceKey(path)
  t.equal(statSync(path).mode & 0o777, 0o600)
  t.equal(publicKeyText(serviceKey(path)), publicKeyText(made))
  t.end()
})

t.test('a damaged key is refused, not replaced', (t) => {
  const path = join(t.testdir(), 'service.pem')
  writeFileSync(path, '-----BEGIN PRIVATE KEY-----\nnothing\n')
  chmodSync(path, 0o600)
  t.throws(() => serviceKey(path), { code: 'KEY_INVALID' })
  t.throws(() => serviceKey(path), { code: 'KEY_INVALID' })
  t.end()
})
