import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { promisify } from 'node:util'
import { readConfig } from '@espalier/server/config.js'
import type { Device } from '@espalier/server/http/schemas/index.js'
import { startService } from '@espalier/server/main.js'
import pino from 'pino'
import t from 'tap'
import { withoutMosquitto as skip, startMosquitto } from './support/mosquitto.js'

const run = promisify(execFile)

t.test(
  'what compose starts works together: passwords, Mosquitto, service, enrolment, agent',
  { skip },
  async (t) => {
    const broker = await startMosquitto(t, ['espalier', 'board-1'])
    const login = broker.url.replace('//', `//espalier:${broker.password('espalier')}@`)
    const flags = { data: t.testdir(), port: '0', broker: login }
    const service = await startService(readConfig(flags, {}), pino({ level: 'silent' }))
    t.teardown(service.close)

    const enrol = () =>
      run(process.execPath, ['deploy/compose/enrol.mjs', broker.folder, broker.url, 'board-1'], {
        env: { ...process.env, ESPALIER_SERVER: service.url },
      })
    t.equal((await enrol()).stdout, 'board-1 is registered\n')
    t.equal((await enrol()).stdout, '', 'a second start registers nobody again')

    const agent = spawn(
      process.execPath,
      [
        'agent/dist/main.js',
        'run',
        ...['--credential', join(broker.folder, 'board-1.json')],
        ...['--state', join(broker.folder, 'state')],
      ],
      { stdio: 'inherit' },
    )
    t.teardown(async () => {
      agent.kill()
      if (agent.exitCode === null) await once(agent, 'exit')
    })
    const device = async () => (await (await fetch(`${service.url}/v1/devices/board-1`)).json()) as Device
    while (!(await device()).online) {
      if (agent.exitCode !== null) throw new Error(`the agent ended with ${agent.exitCode}`)
      await wait(50)
    }
    t.match(await device(), { online: true, arch: /./ })
  },
)
