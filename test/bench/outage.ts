import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { networkBytes, testModel } from '../agent/support/models.js'
import { AgentProcess } from '../agent/support/process.js'
import { fill, ServiceProcess } from '../agent/support/service-process.js'
import { Mosquitto } from '../deploy/support/mosquitto.js'

export const about =
  'reports stored of those made while an outside broker is stopped and the service killed twice: --seconds (60)'

const boards = ['board-1', 'board-2', 'board-3']

/** Mosquitto, the service and three agents as processes; each agent measures about once a second. */
export default async function outage({ seconds = '60' }: Readonly<Record<string, string>>): Promise<object> {
  const data = mkdtempSync(join(tmpdir(), 'espalier-outage-'))
  const model = testModel('small', 256, { top1: { value: 0.9, n: 10_000 } })
  await fill(data, networkBytes(64), [model])
  const broker = await Mosquitto.make(['espalier', ...boards])
  const login = broker.url.replace('//', `//espalier:${broker.password('espalier')}@`)
  const service = new ServiceProcess(data, ['--broker', login])
  const agents: AgentProcess[] = []
  const made = () => agents.flatMap((a) => a.reportIds())
  const waiting = async () => {
    const states = await Promise.all(agents.map((a) => a.status()))
    return states.reduce((sum, { outbox }) => sum + outbox.waiting, 0)
  }
  try {
    await broker.start()
    await service.start()
    for (const id of boards) {
      await promisify(execFile)(
        process.execPath,
        ['deploy/compose/enrol.mjs', broker.folder, broker.url, id],
        { env: { ...process.env, ESPALIER_SERVER: service.url } },
      )
      await service.call('PUT', `/devices/${id}/assignment`, { model: 'digits' })
      const agent = new AgentProcess(JSON.parse(readFileSync(join(broker.folder, `${id}.json`), 'utf8')))
      agents.push(agent)
      agent.start(['--memory', '100MB', '--every', '1s'])
    }
    const everyone = async () => agents.every((a) => a.reportIds().length > 0)
    await until('each agent reports', everyone)

    await broker.stop()
    const before = made().length
    await sleep(Number(seconds) * 1000)
    const meanwhile = made().length - before
    const held = await waiting()
    await broker.start()
    await until('what waited is stored', async () => (await waiting()) <= agents.length)
    for (let kill = 0; kill < 2; kill++) {
      await service.end('SIGKILL')
      const less = made().length
      await until('reports are made without the service', async () => made().length >= less + 6)
      await service.start()
      await until('what waited is stored', async () => (await waiting()) <= agents.length)
    }
    await Promise.all(agents.map((a) => a.end()))
    const left = await waiting()
    const stored = await service.reportIds()
    const known = new Set(stored)
    const reports = made()
    return {
      brokerStoppedSeconds: Number(seconds),
      madeMeanwhile: meanwhile,
      waitingThen: held,
      made: reports.length,
      stored: stored.length,
      storedTwice: stored.length - known.size,
      waitOnDevices: left,
      lost: reports.filter((id) => !known.has(id)).length - left,
    }
  } finally {
    await Promise.all(agents.map((a) => a.end('SIGKILL')))
    await service.end()
    await broker.remove()
    rmSync(data, { recursive: true, force: true })
  }
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + 120_000
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`never happened: ${what}`)
    await sleep(200)
  }
}
