import { execFile, spawnSync } from 'node:child_process'
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'

const run = promisify(execFile)
const unit = 'deploy/espalier-agent.service'
const missing = spawnSync('systemd-analyze', ['--version']).error
const skip = missing && 'systemd-analyze is not installed (Debian: systemd)'

t.test('the unit is one that systemd understands; a misspelt setting is noticed', { skip }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'espalier-unit-'))
  t.teardown(() => rm(folder, { recursive: true }))
  const copy = join(folder, 'espalier-agent.service')
  await copyFile(unit, copy)
  const verify = async () => (await run('systemd-analyze', ['verify', copy])).stderr
  t.equal(await verify(), '')
  await writeFile(copy, (await readFile(unit, 'utf8')).replace('ProtectHome=', 'ProtectHomes='))
  t.match(await verify(), /ProtectHomes/)
})

t.test('the unit leaves the agent little to misuse', { skip }, async (t) => {
  const { stdout } = await run('systemd-analyze', ['security', '--offline=true', '--no-pager', unit])
  const exposure = Number(stdout.match(/Overall exposure level for \S+: ([\d.]+)/)?.[1])
  t.ok(exposure <= 2, `exposure ${exposure} of 10`)
})

t.test('the unit runs what the install script installs', async (t) => {
  const [service, script] = await Promise.all([
    readFile(unit, 'utf8'),
    readFile('deploy/install-agent.sh', 'utf8'),
  ])
  t.match(service, /^User=espalier-agent$/m)
  t.match(script, 'useradd --system')
  t.match(service, '/opt/espalier-agent/node_modules/@espalier/agent/dist/main.js run')
  t.match(service, '--credential /etc/espalier-agent/credential.json')
  t.match(service, 'EnvironmentFile=-/etc/espalier-agent/environment')
})
