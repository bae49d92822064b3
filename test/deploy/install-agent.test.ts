import { execFile, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, copyFile, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'

const run = promisify(execFile)

interface Ended {
  status: number
  stdout: string
  stderr: string
}

async function installAgent(args: string[], env: Record<string, string> = {}, at = 'deploy'): Promise<Ended> {
  const script = join(at, 'install-agent.sh')
  return run('sh', [script, ...args], { env: { ...process.env, ...env } }).then(
    ({ stdout, stderr }) => ({ status: 0, stdout, stderr }),
    (e: { code: number; stdout: string; stderr: string }) => ({ ...e, status: e.code }),
  )
}

async function folder(t: Test): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'espalier-install-'))
  t.teardown(() => rm(made, { recursive: true, force: true }))
  return made
}

/** A PATH on which some of the programs that describe the machine describe another one. */
async function machine(t: Test, answers: Record<string, string>): Promise<{ PATH: string }> {
  const bin = await folder(t)
  for (const [program, answer] of Object.entries(answers)) {
    await writeFile(join(bin, program), `#!/bin/sh\n${answer}\n`)
    await chmod(join(bin, program), 0o755)
  }
  return { PATH: `${bin}:${process.env.PATH}` }
}

const glibc = (version: string) => `[ "$1" = LONG_BIT ] && echo 64 || echo "glibc ${version}"`

t.test('this machine and the boards that Espalier names pass the check', async (t) => {
  t.match(await installAgent(['--check']), { status: 0, stdout: /can run here/ })
  for (const version of ['2.28', '2.31', '2.36', '2.100']) {
    const env = await machine(t, { uname: 'echo aarch64', getconf: glibc(version) })
    t.match(await installAgent(['--check'], env), { status: 0, stdout: /^aarch64/ }, version)
  }
})

t.test('a machine that cannot run the agent is told why', async (t) => {
  const machines: [RegExp, Record<string, string>][] = [
    [/this machine is armv7l/, { uname: 'echo armv7l' }],
    [/the system on it is 32-bit/, { uname: 'echo aarch64', getconf: 'echo 32' }],
    [/glibc 2.27; onnxruntime needs glibc 2.28/, { getconf: glibc('2.27') }],
    [/glibc 2.9; /, { getconf: glibc('2.9') }],
    [/no glibc/, { getconf: '[ "$1" = LONG_BIT ] && echo 64' }],
    [/Node.js is v18.20.4; the agent needs 20/, { node: 'echo v18.20.4' }],
  ]
  for (const [cause, answers] of machines) {
    const ended = await installAgent(['--check'], await machine(t, answers))
    t.match(ended, { status: 1, stdout: '', stderr: cause }, String(cause))
    t.equal(ended.stderr.split('\n').length, 2, 'in one line')
  }
})

t.test('wrong usage ends with status 2 and shows how', async (t) => {
  for (const args of [['--credentials', 'x'], ['--credential'], ['frob']]) {
    t.match(await installAgent(args), { status: 2, stderr: /usage: install-agent.sh/ }, args.join(' '))
  }
})

t.test('an installation below a folder is complete, starts, and is upgraded in place', async (t) => {
  const [device, root] = [await folder(t), await folder(t)]
  await run('npm', ['pack', '-w', 'shared', '-w', 'agent', '--pack-destination', device])
  await copyFile('deploy/install-agent.sh', join(device, 'install-agent.sh'))
  const credential = join(device, 'pi-1.json')
  const install = (...args: string[]) => installAgent([...args, '--root', root], {}, device)

  await writeFile(credential, '{}')
  t.match(await install('--credential', credential), { status: 1, stderr: /espalier-agent.service must lie/ })
  await copyFile('deploy/espalier-agent.service', join(device, 'espalier-agent.service'))
  t.match(await install(), { status: 2, stderr: /needs --enrol CODE or --credential/ })
  t.match(await install('--credential', credential), { status: 1, stderr: /is not a device's credential/ })
  t.strictSame(await readdir(root), [], 'a refused installation leaves nothing')

  await writeFile(
    credential,
    JSON.stringify({ id: 'pi-1', password: 'p', broker: 'mqtt://10.0.0.2:1883', servicePublicKey: 'k' }),
  )
  const first = await install('--credential', credential, '--options', '--memory 64MB')
  t.equal(first.status, 0, first.stderr)
  const opt = join(root, 'opt/espalier-agent')
  const program = join(opt, 'node_modules/@espalier/agent/dist/main.js')
  t.match(await run(process.execPath, [program, '--help']), { stdout: /run/ })
  t.equal((await stat(join(root, 'etc/espalier-agent/credential.json'))).mode & 0o777, 0o600)
  const [napi] = (await readdir(join(opt, 'node_modules/onnxruntime-node/bin'))).filter((n) =>
    /^napi/.test(n),
  )
  const libraries = join(opt, 'node_modules/onnxruntime-node/bin', napi)
  t.strictSame(await readdir(libraries), ['linux'], 'no other system’s libraries')

  const archive = join(device, 'espalier-agent-linux.tar.gz')
  const packed = await installAgent(['--pack', archive], {}, device)
  t.match(packed, { status: 0, stdout: /is ready/ }, packed.stderr)
  t.ok((await stat(archive)).size < 50e6, 'it is small enough for a slow copy')
  await mkdir(join(opt, 'left-over'))
  const offline = await machine(t, { npm: 'echo npm was called >&2; exit 1' })
  const upgraded = await installAgent(['--root', root], offline, device)
  t.equal(upgraded.status, 0, `from the archive, without npm and without a network ${upgraded.stderr}`)
  t.notOk(existsSync(join(opt, 'left-over')), 'an upgrade replaces the program')
  t.equal(
    await readFile(join(root, 'etc/espalier-agent/environment'), 'utf8'),
    'ESPALIER_AGENT_OPTIONS=--memory 64MB\n',
    'and keeps the options',
  )
  t.strictSame((await readdir(join(libraries, 'linux'))).sort(), ['arm64', 'x64'])
  t.match(await run(process.execPath, [program, 'doctor']), { stdout: /^ok +runtime/m }, 'it runs a network')
  await writeFile(archive, 'no archive')
  t.match(await installAgent(['--root', root], offline, device), { status: 1, stderr: /cannot be unpacked/ })
  t.ok(existsSync(program), 'what was installed stays')
})

const skip = spawnSync('shellcheck', ['--version']).error && 'shellcheck is not installed'
t.test('shellcheck finds nothing in the scripts', { skip }, async (t) => {
  const scripts = (await readdir('deploy'))
    .filter((file) => file.endsWith('.sh'))
    .map((file) => `deploy/${file}`)
  t.match(await run('shellcheck', ['.ci/run', ...scripts]), { stdout: '' })
})
