import { execFile } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { exporters } from '@espalier/server/broker/export.js'
import { desired } from '@espalier/shared/messages/index.js'
import { publicKeyText, seal } from '@espalier/shared/signing.js'
import t from 'tap'

const espalier = (...args: string[]) =>
  new Promise<{ status: number; stdout: string; stderr: string }>((resolve) => {
    execFile(process.execPath, ['server/dist/cli/main.js', ...args], (error, stdout, stderr) =>
      resolve({ status: Number(error?.code ?? 0), stdout, stderr }),
    )
  })

const { privateKey } = generateKeyPairSync('ed25519')
const now = Date.now()
const document = (expiresAt: number) =>
  seal(
    desired,
    {
      ...{ type: 'desired', device: 'pi-1', revision: 3, issuedAt: now, expiresAt },
      ...{ model: 'digits', version: 1, catalogueSequence: 2, objective: { maximise: 'accuracy' } },
    },
    privateKey,
  )

t.test('a document is told to hold, or why it does not', async (t) => {
  const good = document(now + 60_000)
  const key = publicKeyText(privateKey)
  const folder = t.testdir({
    'good.json': good.toString(),
    'old.json': document(now - 1).toString(),
    'bent.json': good.toString().replace('"revision":3', '"revision":4'),
    'junk.json': '{}',
    'service.key': privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    'credential.json': JSON.stringify({ servicePublicKey: key }),
  })
  const verify = (file: string, by: string) => espalier('verify', join(folder, file), '--key', by)
  for (const by of [key, join(folder, 'service.key'), join(folder, 'credential.json')])
    t.match(await verify('good.json', by), { status: 0, stdout: /desired, valid[\s\S]*pi-1/ })
  const other = publicKeyText(generateKeyPairSync('ed25519').privateKey)
  const refusals: [file: string, by: string, code: string][] = [
    ['old.json', key, 'DOCUMENT_EXPIRED'],
    ['bent.json', key, 'SIGNATURE_INVALID'],
    ['good.json', other, 'SIGNATURE_INVALID'],
    ['junk.json', key, 'MESSAGE_INVALID'],
    ['none.json', key, 'FILE_NOT_FOUND'],
    ['good.json', join(folder, 'junk.json'), 'KEY_INVALID'],
  ]
  for (const [file, by, code] of refusals)
    t.match(await verify(file, by), { status: 1, stderr: new RegExp(code) }, `${file} ${code}`)
})

t.test('permissions are exported; what deploy has is what export writes', async (t) => {
  const { status, stdout } = await espalier('broker', 'export', '--for', 'mosquitto')
  t.equal(status, 0)
  t.equal(stdout, readFileSync('deploy/mosquitto/acl', 'utf8'))
  t.match(await espalier('broker', 'export', '--for', 'emqx', '--user', 'centre'), {
    status: 0,
    stdout: /\{user, "centre"\}[\s\S]*devices\/\$\{username\}\/desired[\s\S]*\{deny, all\}\.\n$/,
  })
  t.match(await espalier('broker', 'export', '--for', 'pigeons'), { status: 2 })
  t.same(Object.keys(exporters), ['mosquitto', 'emqx'])
})
