import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type { Test } from 'tap'
import { freePort, listens } from './mosquitto.js'

/** Why a test that needs nats-server cannot run here, if it cannot. */
export const withoutNats = spawnSync('nats-server', ['--version']).error && 'nats-server is not installed'

/**
 * nats-server with the configuration of deploy/nats, save for its paths and ports, and with the permissions that
 * `espalier broker export` writes. It runs until the test ends.
 */
export async function startNats(t: Test, users: readonly string[]) {
  const folder = await mkdtemp(join(tmpdir(), 'espalier-nats-'))
  const [port, own] = [await freePort(), await freePort()]
  const [service, ...devices] = users
  const password = (user: string) => `3 of ${user}"`
  const variable = (user: string) => `PASSWORD_${user.toUpperCase().replace('-', '_')}`
  const passwords = users.map((user) => `${variable(user)}: ${JSON.stringify(password(user))}\n`)
  await writeFile(join(folder, 'passwords.conf'), passwords.join(''), { mode: 0o600 })
  const named = devices.flatMap((id) => ['--device', id])
  const exported = ['broker', 'export', '--for', 'nats', '--user', service, ...named]
  await writeFile(
    join(folder, 'users.conf'),
    execFileSync(process.execPath, ['server/dist/cli/main.js', ...exported]),
  )
  const config = (await readFile('deploy/nats/nats-server.conf', 'utf8'))
    .replace('port: 1883', `listen: "127.0.0.1:${port}"`)
    .replace('127.0.0.1:4222', `127.0.0.1:${own}`)
    .replace('/data', folder)
  await writeFile(join(folder, 'nats-server.conf'), config)
  const child = spawn('nats-server', ['-c', join(folder, 'nats-server.conf')], { stdio: 'ignore' })
  t.teardown(async () => {
    child.kill()
    if (child.exitCode === null) await once(child, 'exit')
    await rm(folder, { recursive: true })
  })
  while (!(await listens(port))) {
    if (child.exitCode !== null) throw new Error(`nats-server ended with ${child.exitCode}`)
    await wait(20)
  }
  return { url: `mqtt://127.0.0.1:${port}`, nativePort: own, password }
}
