import { generateKeyPairSync } from 'node:crypto'
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { publicKeyText } from '@espalier/shared/signing.js'
import t from 'tap'
import { runAgent } from './support/process.js'
import { TestService } from './support/service.js'
import { orinNano, tree } from './support/tree.js'

const { publicKey } = generateKeyPairSync('ed25519')
const credential = {
  id: 'dev-1',
  password: 'x',
  broker: 'mqtt://127.0.0.1:1',
  servicePublicKey: publicKeyText(publicKey),
}

t.test('help teaches, and exits 0', async (t) => {
  for (const args of [['--help'], ['run', '--help'], ['help']]) {
    const { status, stdout } = await runAgent(...args)
    t.equal(status, 0)
    t.match(stdout, /espalier-agent run --credential FILE --state DIR/)
  }
  t.match(await runAgent('--version'), { status: 0, stdout: /^\d+\.\d+\.\d+\n$/ })
})

t.test('wrong usage exits 2, says what is wrong, and where help is', async (t) => {
  const run = ['run', '--credential', 'c.json', '--state', '/nowhere']
  const wrong: [args: string[], says: RegExp][] = [
    [[], /a command is needed/],
    [['grow'], /no command 'grow'/],
    [['run'], /needs --credential/],
    [['run', '--credential', 'c.json'], /needs --state/],
    [[...run, '--colour', 'red'], /--colour/],
    [[...run, '--memory', '4 apples'], /'4 apples' is not a size/],
    [[...run, '--p95', 'fast'], /--p95 'fast'/],
    [[...run, '--label', 'hall'], /KEY=VALUE/],
    [[...run, '--every', 'often'], /'often' is not a duration/],
    [[...run, '--objective', 'beauty'], /can be accuracy/],
    [[...run, '--benchmark', 'long'], /can be brief, quick, standard/],
    [[...run, '--threads', 'many'], /--threads 'many'/],
    [[...run, '--timings', '{"retryMs":5}'], /retryMs cannot be 5/],
    [['status'], /needs --state/],
  ]
  for (const [args, says] of wrong) {
    const { status, stderr } = await runAgent(...args)
    t.equal(status, 2, args.join(' '))
    t.match(stderr, says)
    t.match(stderr, /--help/)
  }
})

t.test('a credential that cannot be used exits 1 and says why', async (t) => {
  const folder = t.testdir()
  const file = join(folder, 'c.json')
  const cases: [content: string, mode: number, says: RegExp][] = [
    ['{"id":', 0o600, /CREDENTIAL_INVALID/],
    [JSON.stringify({ ...credential, password: '' }), 0o600, /"password" is missing/],
    [JSON.stringify(credential), 0o644, /chmod 600/],
    [JSON.stringify({ ...credential, id: '../x' }), 0o600, /no device id/],
    [JSON.stringify({ ...credential, broker: 'http://x' }), 0o600, /mqtt:\/\/host/],
    [JSON.stringify({ ...credential, servicePublicKey: 'short' }), 0o600, /KEY_INVALID/],
  ]
  for (const [content, mode, says] of cases) {
    writeFileSync(file, content)
    chmodSync(file, mode)
    const { status, stderr } = await runAgent('run', '--credential', file, '--state', join(folder, 'state'))
    t.equal(status, 1)
    t.match(stderr, says)
  }
  t.match(await runAgent('status', '--state', folder), { status: 1, stderr: /FILE_NOT_FOUND/ })
})

t.test('doctor finds what is well and what is not', async (t) => {
  const folder = t.testdir()
  const file = join(folder, 'c.json')
  const service = await TestService.start()
  t.teardown(() => service.down())
  writeFileSync(file, JSON.stringify(service.credential()), { mode: 0o600 })
  const args = [
    'doctor',
    '--credential',
    file,
    '--state',
    join(folder, 'state'),
    '--fact-root',
    tree(orinNano),
  ]
  const well = await runAgent(...args, '--json')
  t.equal(well.status, 0, well.stdout)
  const { findings } = JSON.parse(well.stdout)
  t.same(
    findings.map((f: { check: string }) => f.check),
    ['machine', 'runtime', 'disk', 'broker'],
  )
  t.match(findings[0].says, /Jetson Orin Nano/)
  writeFileSync(file, JSON.stringify(credential), { mode: 0o600 })
  const ill = await runAgent(...args)
  t.equal(ill.status, 1)
  t.match(ill.stdout, /BAD {3}broker +mqtt:\/\/127.0.0.1:1: .*ECONNREFUSED/)
})
