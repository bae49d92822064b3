import { rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { join, resolve } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { Command } from 'commander'
import { Client } from '../cli/client.js'
import { Output, type Progress, show, table } from '../cli/output.js'
import { Processes } from './processes.js'
import * as story from './story.js'

const espalier = 'server/dist/cli/main.js'
const agent = 'agent/dist/main.js'
/** Three short benchmarks, one at a time, take about half a minute. */
const reportsWithinMs = 240_000

const command = new Command('npm start --')
  .description(
    'Shows Espalier at work on this machine: prunes a digit classifier to three memory budgets, lets three local ' +
      'agents fetch, measure and choose, prints what they report, and leaves the dashboard running.',
  )
  .option('--once', 'end after the table')
  .option('--json', 'print {seconds, devices[…]} instead of the table')
  .option('--fresh', 'start anew: forget what an earlier run left in the folder of --state')
  .option('--state <dir>', 'folder for everything the quickstart keeps', '.espalier/quickstart')
  .option('--port <n>', 'port of the dashboard and the HTTP interface', '8080')
  .option('--mqtt-port <n>', 'port of the MQTT broker', '1883')
  .addHelpText('after', '\nA second run goes on with what is there. Logs lie in the folder logs of --state.')

interface Options {
  once?: boolean
  json?: boolean
  fresh?: boolean
  state: string
  port: string
  mqttPort: string
}

/** Every step in order. Runs until the table, and without --once until it is interrupted. */
async function tell(options: Options, output: Output, processes: Processes, state: string): Promise<void> {
  const started = Date.now()
  const url = `http://127.0.0.1:${options.port}`
  const api = new Client({ server: url })
  const step = async <T>(label: string, work: (progress: Progress) => Promise<T>): Promise<T> => {
    const since = Date.now()
    const progress = output.progress()
    progress.update(label)
    const result = await work(progress).finally(() => progress.done())
    output.log(`✓ ${label} (${((Date.now() - since) / 1000).toFixed(1)} s)`)
    return result
  }

  await step('Start the service', async () => {
    await requireFree(Number(options.port), '--port')
    await requireFree(Number(options.mqttPort), '--mqtt-port')
    const args = ['--data', join(state, 'service'), '--port', options.port, '--mqtt-port', options.mqttPort]
    processes.start('service', espalier, ['up', ...args])
    await ready(api)
  })
  const version = await step('Register a digit classifier and MNIST', () => story.registerSample(api))
  const span = await step('Ask what memory pruning can free', () => story.inspectSample(espalier))
  output.log(`  dense ${show.bytes(span.predictedRamBytes)}, at least ${show.bytes(span.floorRamBytes)}`)
  await step('Prune it to three memory budgets', (progress) =>
    story.compileSample(api, span, version, progress),
  )

  const budgets = Object.fromEntries(
    Object.entries(story.deviceShares).map(([id, share]) => [id, story.shareOf(span, share)]),
  )
  await step('Start three agents', async () => {
    for (const [id, bytes] of Object.entries(budgets)) {
      const home = join(state, 'devices', id)
      const credential = join(home, 'credential.json')
      await story.registerDevice(api, id, credential)
      await story.assign(api, id, version)
      const kept = ['--credential', credential, '--state', join(home, 'state')]
      processes.start(id, agent, ['run', ...kept, '--memory', `${bytes}B`, '--benchmark', 'brief'])
    }
  })
  const devices = await step('They fetch, measure, choose and report', (progress) =>
    story.outcomes(api, budgets, version, progress, reportsWithinMs),
  )

  output.result({ seconds: (Date.now() - started) / 1000, devices }, () => `\n${tableOf(devices)}\n`)
  if (options.once) return
  output.log(
    `The dashboard is at ${url} — Ctrl-C ends the service and the agents; npm start goes on from here.`,
  )
  await new Promise(() => {})
}

const tableOf = (devices: readonly story.Outcome[]): string =>
  table(devices, [
    ['device', (d) => d.id],
    ['board', (d) => d.board],
    ['memory allowed', (d) => show.bytes(d.memoryBudgetBytes)],
    ['measured', (d) => show.bytes(d.measuredRamBytes)],
    ['variant', (d) => d.variant],
    ['p50', (d) => show.ms(d.p50Ms)],
    ['p95', (d) => show.ms(d.p95Ms)],
    ['top-1', (d) => show.percent(d.top1)],
  ])

/** Waits until the service can do its work; that it ends instead is noticed by whoever started it. */
async function ready(api: Client): Promise<void> {
  for (;;) {
    try {
      await api.get('/readyz')
      return
    } catch {
      await wait(100)
    }
  }
}

/** @throws when something listens on `port` already: it would be taken for the service. */
async function requireFree(port: number, option: string): Promise<void> {
  const taken = await new Promise<boolean>((resolve) => {
    const socket = connect(port, '127.0.0.1', () => resolve(true)).on('error', () => resolve(false))
    socket.on('connect', () => socket.destroy())
  })
  if (taken)
    throw new Error(
      `port ${port} is taken, perhaps by an Espalier that still runs; end it, or give another with ${option} N and a folder of its own with --state DIR`,
    )
}

async function quickstart(options: Options): Promise<number> {
  const output = new Output(options.json ?? false)
  const state = resolve(options.state)
  if (options.fresh) await rm(state, { recursive: true, force: true })

  let end: (status: number) => void = () => {}
  const endedEarly = new Promise<number>((resolve) => {
    end = resolve
  })
  const processes = new Processes(join(state, 'logs'), (error) => {
    output.log(error.message)
    end(1)
  })
  process
    .on('SIGINT', () => end(options.once ? 130 : 0))
    .on('SIGTERM', () => end(143))
    .on('SIGHUP', () => end(129))
  try {
    return await Promise.race([tell(options, output, processes, state).then(() => 0), endedEarly])
  } catch (thrown) {
    output.log(`npm start: ${thrown instanceof Error ? thrown.message : String(thrown)}`)
    return 1
  } finally {
    await processes.stop()
  }
}

command.action(async (options: Options) => {
  process.exit(await quickstart(options))
})
await command.parseAsync()
