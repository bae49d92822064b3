import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Systemd } from '@espalier/agent/systemd.js'
import t from 'tap'
import { testModel } from './support/models.js'
import { AgentProcess, soon } from './support/process.js'
import { TestService } from './support/service.js'

/** A program in place of systemd-notify that keeps what it is told, a line each. */
function listener() {
  const folder = mkdtempSync(join(tmpdir(), 'espalier-systemd-'))
  const [program, said] = [join(folder, 'systemd-notify'), join(folder, 'said')]
  writeFileSync(program, `#!/bin/sh\necho "$@" >> ${said}\n`)
  chmodSync(program, 0o755)
  return { folder, program, said: () => (existsSync(said) ? readFileSync(said, 'utf8').split('\n') : []) }
}

t.test('systemd is told that the agent is ready, alive, and about to stop', async (t) => {
  const service = await TestService.start()
  const { folder, said } = listener()
  const agent = new AgentProcess(service.credential())
  t.teardown(async () => {
    await agent.end('SIGKILL')
    await service.down()
  })
  await service.offer([testModel('only', 40)])
  await service.desire()
  const env = { PATH: `${folder}:${process.env.PATH}`, NOTIFY_SOCKET: '/nowhere', WATCHDOG_USEC: '200000' }
  agent.start([], soon, env)
  while (said().filter((line) => line === 'WATCHDOG=1').length < 3) await sleep(20)
  t.equal(said()[0], 'READY=1')
  t.equal(await agent.end(), 0)
  t.equal(said().at(-2), 'STOPPING=1')
})

t.test('nobody is told where systemd does not ask, and no other process’s watchdog is fed', async (t) => {
  const { program, said } = listener()
  const log = (line: string) => t.fail(line)
  new Systemd({ env: {}, log, program }).ready()
  const other = { NOTIFY_SOCKET: '/nowhere', WATCHDOG_USEC: '10000', WATCHDOG_PID: '1' }
  const it = new Systemd({ env: other, log, program })
  it.ready()
  await sleep(300)
  t.same(said(), ['READY=1', ''])
})

t.test('without the program it is said once', async (t) => {
  const lines: string[] = []
  const env = { NOTIFY_SOCKET: '/nowhere', WATCHDOG_USEC: '20000' }
  const it = new Systemd({ env, log: (line) => lines.push(line), program: '/nowhere/systemd-notify' })
  it.ready()
  await sleep(200)
  it.stopping()
  t.match(lines, [/systemd cannot be told .*ENOENT/])
  t.equal(lines.length, 1)
})

const missing = spawnSync('systemd-notify', ['--version']).error
t.test(
  'systemd’s own program takes these words',
  { skip: missing && 'systemd-notify is not installed (Debian: systemd)' },
  async (t) => {
    const { status, stderr } = spawnSync('systemd-notify', ['WATCHDOG=1'], {
      env: { ...process.env, NOTIFY_SOCKET: join(tmpdir(), 'espalier-nobody-listens') },
    })
    t.not(status, 0)
    t.match(
      String(stderr),
      /No such file|Connection refused|Failed to notify/,
      'it is the socket that is missing',
    )
  },
)
