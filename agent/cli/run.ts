import { mkdirSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { asEspalierError, EspalierError, formatBytes, parseBytes } from '@espalier/shared'
import { MEMORY_PROCESSES, profiles } from '@espalier/shared/measure/index.js'
import { type Facts, goals } from '@espalier/shared/messages/index.js'
import { Agent } from '../agent.js'
import { systemClock } from '../clock.js'
import { currentCredential } from '../credential.js'
import { physicalCores } from '../facts/index.js'
import type { MeasuringScripts } from '../measure/runtimes.js'
import { setupsOf } from '../measure/setups.js'
import type { AgentOptions, Timings } from '../options.js'
import { Endpoint } from '../serve/endpoint.js'
import { diskError } from '../store/errors.js'
import { takeLock } from '../store/lock.js'
import { LogFile } from '../store/log-file.js'
import { Systemd } from '../systemd.js'
import { factsOf } from './facts-of.js'
import {
  defaultRuntime,
  parse,
  parseDuration,
  parseLabels,
  parsePositive,
  parseRuntime,
  parseShare,
  parseThreads,
  UsageError,
} from './usage.js'

/** Where the scripts of the agent's children lie, and which agent this is. */
export interface Program {
  readonly version: string
  readonly measuring: MeasuringScripts
  readonly probe: URL
  readonly serveChild: URL
}

/** A file that all agents of this host share while they measure. */
export const defaultHostLock = join(tmpdir(), 'espalier-benchmark.lock')

const options = {
  credential: { type: 'string' },
  state: { type: 'string' },
  memory: { type: 'string' },
  p95: { type: 'string' },
  top1: { type: 'string' },
  objective: { type: 'string', default: 'accuracy' },
  label: { type: 'string', multiple: true },
  every: { type: 'string', default: '1h' },
  benchmark: { type: 'string', default: 'quick' },
  runtime: { type: 'string', default: defaultRuntime },
  threads: { type: 'string', default: 'auto' },
  provider: { type: 'string', default: 'auto' },
  'memory-runs': { type: 'string', default: String(MEMORY_PROCESSES) },
  'fact-root': { type: 'string', default: '/' },
  serve: { type: 'string' },
  hook: { type: 'string' },
  'host-lock': { type: 'string', default: defaultHostLock },
  timings: { type: 'string', default: '{}' },
} as const

/** `espalier-agent run`: resolves after an orderly end. */
export async function run(args: string[], program: Program): Promise<void> {
  const { values } = parse({ args, options })
  if (!values.credential)
    throw new UsageError(
      'run needs --credential FILE, which espalier-agent enrol or espalier devices create writes',
    )
  if (!values.state) throw new UsageError('run needs --state DIR, where the agent keeps what it has')
  const goal = goals.find((name) => name === values.objective)
  if (!goal)
    throw new UsageError(`--objective '${values.objective}' is unknown; it can be ${goals.join(', ')}`)
  const profile = Object.entries(profiles).find(([name]) => name === values.benchmark)?.[1]
  if (!profile)
    throw new UsageError(
      `--benchmark '${values.benchmark}' is unknown; it can be ${Object.keys(profiles).join(', ')}`,
    )
  const given = {
    memoryBytes: values.memory === undefined ? null : parseMemory(values.memory),
    p95LimitMs: values.p95 === undefined ? null : parsePositive('p95', values.p95),
    labels: parseLabels(values.label ?? []),
  }
  const leastTop1 = values.top1 === undefined ? null : parseShare('top1', values.top1)
  const timings: Timings = { ...parseTimings(values.timings), everyMs: parseDuration(values.every) }
  const port = values.serve === undefined ? null : parsePort(values.serve)
  const threads = values.threads === 'auto' ? null : parseThreads(values.threads)
  const child = parseRuntime(values.runtime, program)
  if (port !== null && child !== program.measuring.node)
    throw new UsageError(
      `--serve answers with ${defaultRuntime}; what --runtime ${values.runtime} measures would say nothing of it`,
    )
  const processes = Math.ceil(parsePositive('memory-runs', values['memory-runs']))
  const credential = currentCredential(values.credential, values.state)
  lockState(values.state)
  const stopped = stopAsked()
  const file = new LogFile(join(values.state, 'logs'))
  const log = (line: string) => {
    const stamped = `${new Date().toISOString()} ${line}`
    process.stderr.write(`${stamped}\n`)
    file.write(stamped)
  }
  const systemd = new Systemd({ env: process.env, log })
  try {
    const root = values['fact-root']
    const facts = await factsOf(root, program, child, given)
    log(
      `${facts.board}, ${formatBytes(facts.memoryBudgetBytes)} for a model, ${facts.runtime} ${facts.runtimeVersion}`,
    )
    const hostLock = values['host-lock']
    const endpoint = port === null ? undefined : new Endpoint({ port, child: program.serveChild, log })
    if (endpoint) log(`inference at http://127.0.0.1:${await endpoint.listen()}/v2`)
    const agentOptions = {
      credential,
      stateDir: values.state,
      facts,
      clock: systemClock,
      benchmark: {
        child,
        profile,
        setups: setupsOf({
          cores: Math.min(physicalCores(root), availableParallelism()),
          providers: facts.executionProviders,
          threads,
          provider: providerOf(values.provider, facts),
        }),
        processes,
        hostLock,
        root,
        clock: systemClock,
        log,
      },
      goal,
      leastTop1,
      timings,
      endpoint,
      hook: values.hook,
      log,
    }
    await keepRunning(agentOptions, stopped, systemd)
  } catch (e) {
    const error = asEspalierError(diskError(e, values.state))
    file.write(`${new Date().toISOString()} ${error.code}: ${error.message}`)
    throw error
  } finally {
    file.close()
  }
}

/** Resolves at the first SIGTERM or SIGINT from now on. */
const stopAsked = () =>
  new Promise<void>((resolve) => {
    process.once('SIGTERM', resolve)
    process.once('SIGINT', resolve)
  })

async function keepRunning(
  agentOptions: AgentOptions,
  stopped: Promise<void>,
  systemd: Systemd,
): Promise<void> {
  try {
    const agent = new Agent(agentOptions)
    agent.start()
    systemd.ready()
    await stopped
    systemd.stopping()
    agentOptions.log('stopping; what was under way goes on after the next start')
    await agent.stop()
  } finally {
    // An agent that cannot start must not be kept alive by an open port.
    await agentOptions.endpoint?.close()
  }
}

/** Takes the state directory for as long as this process lives; its lock stays, so that the next start needs no room for one. */
function lockState(stateDir: string): void {
  try {
    mkdirSync(stateDir, { recursive: true })
    const lock = takeLock(join(stateDir, 'lock'))
    if ('release' in lock) return
    throw new EspalierError(
      'STATE_LOCKED',
      `${stateDir} is in use by another agent (process ${lock.heldBy}); end that one, or give this one a --state of its own`,
    )
  } catch (e) {
    throw diskError(e, stateDir)
  }
}

/** Null to try all that open a session here. */
function providerOf(name: string, { executionProviders }: Facts): string | null {
  if (name === 'auto') return null
  if (executionProviders.includes(name)) return name
  throw new UsageError(
    `--provider '${name}' opens no session here; it can be ${['auto', ...executionProviders].join(', ')}`,
  )
}

function parsePort(text: string): number {
  const port = Number(text)
  if (/^\d{1,5}$/.test(text) && port <= 65535) return port
  throw new UsageError(`--serve '${text}' is not a port; write for example 8500, or 0 for any free one`)
}

function parseMemory(text: string): number {
  try {
    return parseBytes(text)
  } catch (e) {
    if (e instanceof EspalierError) throw new UsageError(`--memory: ${e.message}`)
    throw e
  }
}

/** @throws UsageError for what is no timing of ours. */
function parseTimings(text: string): Timings {
  const wrong = (why: string) => new UsageError(`--timings: ${why}; see --help for their names and defaults`)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw wrong(`'${text}' is not JSON`)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong('not a JSON object')
  const isMs = (ms: unknown) => typeof ms === 'number' && ms > 0
  for (const [name, found] of Object.entries(value)) {
    const isPair = Array.isArray(found) && found.length === 2 && found.every(isMs)
    const fits = timingNames.pairs.includes(name) ? isPair : timingNames.numbers.includes(name) && isMs(found)
    if (!fits) throw wrong(`${name} cannot be ${JSON.stringify(found)}`)
  }
  return value as Timings
}

const timingNames = {
  pairs: ['reconnectMs', 'retryMs'],
  numbers: ['blockPatienceMs', 'reportPatienceMs', 'keepaliveSeconds'],
}
