import { execFile } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { exporters } from '@espalier/server/broker/export.js'
import { keyFiles, rotate, serviceKeys } from '@espalier/server/delivery/index.js'
import { desired } from '@espalier/shared/messages/index.js'
import { keyId, publicKeyFrom, publicKeyText, seal } from '@espalier/shared/signing.js'
import t from 'tap'

const program = resolve('server/dist/cli/main.js')
const elsewhere = { cwd: tmpdir() } // where there is no .espalier
const espalier = (...args: string[]) =>
  new Promise<{ status: number; stdout: string; stderr: string }>((done) => {
    execFile(process.execPath, [program, ...args], elsewhere, (error, stdout, stderr) =>
      done({ status: Number(error?.code ?? 0), stdout, stderr }),
    )
  })

const { privateKey } = generateKeyPairSync('ed25519')
const now = Date.now()
const document = (expiresAt: number, key = privateKey) =>
  seal(
    desired,
    {
      ...{ type: 'desired', device: 'pi-1', revision: 3, issuedAt: now, expiresAt },
      ...{ model: 'digits', version: 1, catalogueSequence: 2, objective: { maximise: 'accuracy' } },
    },
    key,
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

  const says = async (args: string[], what: RegExp) =>
    t.match(await espalier('verify', join(folder, 'good.json'), ...args), { status: 1, stderr: what })
  await says([], /'\.espalier\/service\.key' cannot be read: there is no such file; give .*--key.*--roots/)
  await says(['--key', folder], /it is a folder; give .*--key/)
  await says(['--key', join(folder, 'junk.json')], /give .*--key/)
  await says(['--key', other], /no signature by a key .*roots\.json with --roots/)
  await says(['--key', '/dev/zero'], /more than 16777216 bytes.*MESSAGE_TOO_LARGE/)
})

t.test(
  'roots are followed from the key that a device was given: each version, by whom, until when',
  async (t) => {
    const folder = t.testdir({ 'junk.json': '{}' })
    const { rootKey: given } = serviceKeys(folder)
    const named = publicKeyFrom(given)
    const { roots, signing } = keyFiles(folder)
    rotate(folder, { which: 'signing', overlapMs: 3_600_000, now })
    rotate(folder, { which: 'root', overlapMs: 0, now })
    const by = serviceKeys(folder)
    const file = join(folder, 'desired.json')
    writeFileSync(file, document(now + 60_000, by.signing))
    const verify = (what: string, ...more: string[]) => espalier('verify', what, '--key', given, ...more)
    t.match(await verify(file), { status: 1, stderr: /SIGNATURE_INVALID/ }, 'the key alone does not do')
    const told = await verify(file, '--roots', roots)
    t.match(told, { status: 0, stdout: /By root +version 3, which expires 20/ })
    t.match(told.stdout, new RegExp(`Signed by +${keyId(by.signing)}`))
    t.match(await espalier('verify', file, '--key', signing), { status: 0 }, 'the signing key itself does')

    const { versions } = JSON.parse((await verify(roots, '--json')).stdout)
    const next = keyId(publicKeyFrom(by.rootKey))
    t.match(versions, [
      { version: 1, signedBy: [keyId(named)], root: [keyId(named)], documents: [{ keyid: keyId(named) }] },
      { version: 2, signedBy: [keyId(named)], documents: [{ keyid: keyId(by.signing), until: null }, {}] },
      { version: 3, signedBy: [keyId(named), next], root: [next] },
    ])
    t.ok(versions.every(({ expiresAt }: { expiresAt: number }) => expiresAt > now + 300 * 86_400_000))
    t.match(await verify(roots), { status: 0, stdout: /ROOT +EXPIRES +SIGNED BY/ })

    const text = readFileSync(roots, 'utf8')
    const bent = join(folder, 'bent.json')
    writeFileSync(bent, text.replace('"version":3', '"version":4'))
    t.match(await verify(bent), { status: 1, stderr: /SIGNATURE_INVALID/ })
    t.match(await verify(file, '--roots', bent), { status: 1, stderr: /SIGNATURE_INVALID/ })
    t.match(await verify(file, '--roots', join(folder, 'junk.json')), {
      status: 1,
      stderr: /MESSAGE_INVALID/,
    })
    rotate(folder, { which: 'signing', overlapMs: 0, now: now - 2 * 365 * 86_400_000 })
    for (const args of [[roots], [file, '--roots', roots]] as const) {
      const [what, ...more] = args
      t.match(await verify(what, ...more), {
        status: 1,
        stderr: /root 4 expired .*keys renew.*DOCUMENT_EXPIRED/,
      })
    }
  },
)

t.test('permissions are exported; what deploy has is what export writes', async (t) => {
  const { status, stdout } = await espalier('broker', 'export', '--for', 'mosquitto')
  t.equal(status, 0)
  t.equal(stdout, readFileSync('deploy/mosquitto/acl', 'utf8'))
  t.match(await espalier('broker', 'export', '--for', 'emqx', '--user', 'centre'), {
    status: 0,
    stdout: /\{user, "centre"\}[\s\S]*devices\/\$\{username\}\/desired[\s\S]*\{deny, all\}\.\n$/,
  })
  t.match(await espalier('broker', 'export', '--for', 'pigeons'), { status: 2 })
  t.same(Object.keys(exporters), ['mosquitto', 'emqx', 'nats'])
  const nats = exporters.nats.write('centre', ['pi-1'])
  t.match(
    nats,
    /user: "pi-1", password: \$PASSWORD_PI_1, .*MQTT[\s\S]*"espalier.v1.devices.pi-1.commands.\*.ack"/,
  )
  for (const ids of [[], ['pi.1'], ['pi-1', 'PI_1'], ['Centre']])
    t.throws(() => exporters.nats.write('centre', ids), { code: 'OPTION_INVALID' }, ids.join(' '))
})
