import { execFile, spawn } from 'node:child_process'
import { copyFile, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { withGolden } from '../agent/support/golden.js'
import { networkBytes, testModel } from '../agent/support/models.js'
import { fill } from '../agent/support/service-process.js'

export const about =
  'the agent as deploy/install-agent.sh installs it, under a systemd of its own (root; namespaces, overlayfs): seconds until it is ready, runs a variant, is back when killed, when frozen'

const run = promisify(execFile)
const cli = [process.execPath, resolve('server/dist/cli/main.js')]
const unit = 'espalier-agent'

export default async function systemd(): Promise<object> {
  const folder = await mkdtemp(join(tmpdir(), 'espalier-systemd-'))
  const [packages, data, mount] = ['packages', 'data', 'root'].map((name) => join(folder, name))
  await run('mkdir', [packages, data, mount])
  await run('npm', ['pack', '-w', 'shared', '-w', 'agent', '--pack-destination', packages])
  for (const file of ['install-agent.sh', 'espalier-agent.service'])
    await copyFile(join('deploy', file), join(packages, file))
  const archive = join(packages, 'espalier-agent-linux.tar.gz')
  await run('sh', [join(packages, 'install-agent.sh'), '--pack', archive])
  const top1 = { value: 0.9, n: 10_000 }
  const models = await withGolden([testModel('small', 64, { top1, measuredRamBytes: 700_000 })], folder)
  await fill(data, networkBytes(64), models)

  const namespaces = ['--pid', '--fork', '--kill-child', '--mount', '--cgroup', '--uts', '--ipc', '--net']
  const machine = spawn('unshare', [...namespaces, 'sh', resolve('test/bench/systemd/boot.sh'), mount], {
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  const first = async () =>
    (await readFile(`/proc/${machine.pid}/task/${machine.pid}/children`, 'utf8')).trim()
  const inside = async (...command: string[]): Promise<string> =>
    (await run('nsenter', ['--target', await first(), '--all', '--root', '--wdns=/', ...command])).stdout
  try {
    await seconds('systemd is up', async () => /running/.test(await inside('systemctl', 'is-system-running')))
    // Only now: /tmp is emptied when it starts.
    await run('cp', ['-r', packages, data, `/proc/${await first()}/root/srv`])
    return await observe(inside)
  } finally {
    machine.kill('SIGKILL')
    await rm(folder, { recursive: true })
  }
}

async function observe(inside: (...command: string[]) => Promise<string>): Promise<object> {
  await inside('systemd-run', '--unit=espalier-up', ...cli, 'up', '--data', '/srv/data')
  const token = ['tokens', 'create', '--json']
  let code = ''
  await seconds('the service is up', async () => {
    code = JSON.parse(await inside(...cli, ...token)).code
    return true
  })
  const show = async (property: string) =>
    (await inside('systemctl', 'show', unit, '--value', '--property', property)).trim()
  const isActive = async () => (await show('ActiveState')) === 'active'
  const began = performance.now()
  const install = '/srv/packages/install-agent.sh'
  await inside('sh', install, '--enrol', code, '--options', '--memory 64MB')
  const installedSeconds = (performance.now() - began) / 1000
  await inside(...cli, 'devices', 'assign', (await inside('hostname')).trim(), 'digits')
  const runsSeconds = await seconds('it runs a variant', async () => {
    const reported = JSON.parse(await inside('cat', `/var/lib/${unit}/reported.json`))
    return reported.state === 'active' && reported.error === null
  })
  const restarted = async (signal: string, times: number) => {
    await inside('kill', signal, await show('MainPID'))
    return seconds(`back after ${signal}`, async () => Number(await show('NRestarts')) >= times && isActive())
  }
  const killedSeconds = await restarted('-KILL', 1)
  const frozenSeconds = await restarted('-STOP', 2)
  const why = await inside('journalctl', '--unit', unit, '--no-pager', '--output', 'cat')
  await inside('systemctl', 'stop', unit)
  return {
    systemd: (await inside('systemctl', '--version')).split('\n')[0],
    ...{ installedSeconds, runsSeconds, killedSeconds, frozenSeconds },
    wasWatchdog: /Watchdog timeout/.test(why),
    stopped: { result: await show('Result'), status: Number(await show('ExecMainStatus')) },
  }
}

/** Looks until it holds. @returns after how many seconds */
async function seconds(what: string, holds: () => Promise<boolean>): Promise<number> {
  const began = performance.now()
  for (const end = began + 240_000; performance.now() < end; await sleep(200))
    if (await holds().catch(() => false)) return (performance.now() - began) / 1000
  throw new Error(`never: ${what}`)
}
